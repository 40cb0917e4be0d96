"""A storm of reorganisations: blocks of several senders are taken back and come again, less, elsewhere or otherwise.

Everything hangs on one seed. After each reorganisation the mirror must equal the chain: every hash, every balance,
the supply. Below the final block it must stand still and say so, until an operator lets it follow.
"""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from eth_account import Account
from eth_account.signers.local import LocalAccount
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.kit import Token, address, deploy, register_call, root, wallet
from chain.mirror.world import World, mirror_of
from fixtures.chain import ANVIL_KEY, fund
from mereau.chain import contract, mirror_store
from mereau.chain.finality import Finality
from mereau.chain.mirror import StepOutcome
from mereau.chain.models import Block
from mereau.chain.pace import Pace
from mereau.chain.rpc import RpcClient, hex_bytes, quantity
from mereau.core.db import transaction

DEPTH_MAX: Final = 64
"""The deepest reorganisation that finality still admits."""
SENDERS: Final = 4
WALLETS: Final = [wallet(number) for number in range(8)]


@dataclass(frozen=True)
class Sent:
    """A signed transaction that stood in a block."""

    sender: int
    raw: str


@dataclass
class Storm:
    """One chain under way; `mined` holds what stands in which block, `tally` what the storm was made of."""

    draw: random.Random
    world: World
    senders: Sequence[LocalAccount]
    floor: int
    mined: dict[int, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    tally: Counter[str] = field(default_factory=Counter)

    @property
    def token(self) -> Token:
        return self.world.token

    async def grow(self, blocks: int) -> None:
        for _ in range(blocks):
            fresh = [await self.order(n) for n in self.draw.sample(range(SENDERS), self.draw.randint(0, 2))]
            for sent in fresh:
                await self.token.rpc.call("eth_sendRawTransaction", sent.raw)
            await self.token.rpc.call("evm_mine")
            self.mined[await self.token.head()] = fresh

    async def order(self, sender: int) -> Sent:
        """The sender's next order: mostly a credit, else a reversal, which the chain may have to refuse."""
        account, partner = self.senders[sender], sender + 1
        last, nonce = await self.token.rpc.batch(
            [
                ("eth_call", (self.call("partnerSequence", partner), "latest")),
                ("eth_getTransactionCount", (account.address, "latest")),
            ]
        )
        sequence = int(last, 16) + 1
        kind = "issue" if self.draw.random() < 0.8 else "reverse"
        packed = contract.pack_list(
            [(self.draw.choice(WALLETS), self.draw.randint(1, 50)) for _ in range(self.draw.randint(1, 5))]
        )
        trail_root = root(f"{partner} {self.draw.random()}")
        digest = getattr(self.token.domain, f"{kind}_digest")(partner, sequence, trail_root, packed)
        signature = bytes(self.token.partner.unsafe_sign_hash(digest).signature)
        fields = {
            "to": self.token.address, "chainId": self.token.chain_id, "nonce": int(nonce, 16), "value": 0,
            "gas": 1_000_000, "gasPrice": 10**10,
            "data": contract.encode_call(kind, partner, sequence, trail_root, packed, signature),
        }  # fmt: skip
        return Sent(sender, "0x" + bytes(account.sign_transaction(fields).raw_transaction).hex())

    def call(self, name: str, *args: Any) -> dict[str, Any]:
        return {"to": self.token.address, "data": contract.encode_call(name, *args)}

    async def reorganise(self, depth: int) -> int:
        """Replace the last `depth` blocks; returns the newest block that stayed: what comes again may be the same."""
        fork = await self.token.head() - depth
        before = await self.hashes(fork + 1, fork + depth)
        gone = [(place, sent) for place in range(depth) for sent in self.mined.pop(fork + 1 + place, [])]
        kept = self.again(gone, depth)
        await self.token.rpc.call("anvil_reorg", depth, [[sent.raw, place] for place, sent in kept])
        for place, sent in kept:
            self.mined[fork + 1 + place].append(sent)
        self.tally["reorgs"] += 1
        self.tally["returned"] += len(kept)
        self.tally["blocks_replaced"] += depth
        after = await self.hashes(fork + 1, fork + depth)
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=True))
        return fork + len(list(same))

    async def hashes(self, first: int, last: int) -> list[bytes]:
        numbers = range(first, last + 1)
        blocks = await self.token.rpc.batch([("eth_getBlockByNumber", (quantity(n), False)) for n in numbers])
        return [hex_bytes(block["hash"]) for block in blocks]

    def again(self, gone: list[tuple[int, Sent]], depth: int) -> list[tuple[int, Sent]]:
        """What comes back and where. A sender's transactions keep their order: their nonces want it."""
        way = self.draw.choice(["nothing", "as it was", "other order", "other blocks", "some senders", "a beginning"])
        if way == "nothing":
            return []
        if way == "some senders":
            chosen = self.draw.sample(range(SENDERS), 2)
            return [(place, sent) for place, sent in gone if sent.sender in chosen]
        if way == "a beginning":
            return gone[: self.draw.randint(0, len(gone))]
        if way == "other order":
            ranks = self.draw.sample(range(SENDERS), SENDERS)
            return sorted(gone, key=lambda one: (one[0], ranks[one[1].sender]))
        if way == "other blocks":
            places = sorted(self.draw.randrange(depth) for _ in gone)
            return list(zip(places, (sent for _, sent in gone), strict=True))
        return gone

    async def follow(self) -> StepOutcome:
        """Step until there is nothing more to take."""
        while (progress := await self.world.mirror.step()).outcome is StepOutcome.ADVANCED:
            pass
        return progress.outcome

    async def expect_truth(self) -> None:
        """Blocks, balances and supply are those of the chain."""
        state = await self.world.state()
        assert state.head_number == await self.token.head()
        stored = {row.number: row.hash for row in await self.world.rows(Block)}
        newest = range(max(self.floor, state.head_number - 2 * DEPTH_MAX), state.head_number + 1)
        blocks = await self.token.rpc.batch([("eth_getBlockByNumber", (quantity(n), False)) for n in newest])
        assert [stored[number] for number in newest] == [hex_bytes(block["hash"]) for block in blocks]
        # What came back is really there; before the storm's first block stand the deployment's transactions.
        stand = [
            len(block["transactions"]) for number, block in zip(newest, blocks, strict=True) if number > self.floor
        ]
        assert stand == [len(self.mined.get(number, ())) for number in newest if number > self.floor]
        assert len(stored) == state.head_number - self.token.deployment.block_number + 1
        names: list[tuple[Any, ...]] = [("totalSupply",), *(("balanceOf", one) for one in WALLETS)]
        said = await self.token.rpc.batch([("eth_call", (self.call(*name), "latest")) for name in names])
        supply, *tokens = [int(value, 16) for value in said]
        held = await self.world.balances()
        assert (state.supply, [held.get(one, 0) for one in WALLETS]) == (supply, tokens)

    async def expect_frozen(self, fork: int) -> None:
        """Nothing was written but the reason; then an operator lets the mirror follow the other chain."""
        before = await self.world.contents()
        assert await self.follow() is StepOutcome.FROZEN
        assert await self.world.contents() == before
        state = await self.world.state()
        assert f"below the final block {state.final_number}" in str(state.frozen_reason)
        assert self.world.mirror.alarm == state.frozen_reason
        self.tally["frozen"] += 1
        async with transaction(self.world.engine) as session:
            await mirror_store.unfreeze(session, rewind_to=fork)


async def begun(engine: AsyncEngine, rpc: RpcClient, seed: int, pace: Pace | None = None) -> Storm:
    """A token with four partners, a mirror that has not looked yet, and a node that mines when it is told to."""
    bank = Account.from_key(ANVIL_KEY)
    token = await deploy(rpc, bank, Account.from_key(b"\x07" * 32))
    senders = [Account.from_key(bytes([7, number]) + bytes(30)) for number in range(1, SENDERS + 1)]
    await fund(rpc, bank, [address(sender) for sender in senders])
    for partner in range(2, SENDERS + 1):
        await token.send(register_call(address(token.partner), partner))
    await rpc.call("evm_setAutomine", False)
    world = mirror_of(engine, token, finality=Finality.by_depth(DEPTH_MAX), pace=pace)
    return Storm(random.Random(f"reorgs {seed}"), world, senders, floor=await token.head())


async def reorg_storm(engine: AsyncEngine, rpc: RpcClient, seed: int, count: int) -> Storm:
    """`count` reorganisations of depth 1 to 64, and one in twenty deeper than finality."""
    storm = await begun(engine, rpc, seed)
    draw = storm.draw
    await rpc.call("anvil_mine", hex(DEPTH_MAX + 32))
    await storm.follow()
    for _ in range(count):
        await storm.grow(draw.randint(1, 4))
        if draw.random() < 0.7:
            await storm.follow()
        deep = draw.random() < 0.05
        fork = await storm.reorganise(draw.randint(DEPTH_MAX + 5, DEPTH_MAX + 20) if deep else draw.randint(1, 64))
        if fork < (await storm.world.state()).final_number:
            await storm.expect_frozen(fork)
        assert await storm.follow() is StepOutcome.IDLE
        await storm.expect_truth()
    return storm
