"""What the world does to a chain: blocks, reorganisations, forgetful pools, prices, and a stranger with our key."""

import random
from contextlib import suppress
from typing import Any

from mereau.chain.errors import RpcError
from mereau.chain.rpc import quantity
from mereau.chain.transactions import Fees, UnsignedTransaction
from simulation.arena import FINALITY_DEPTH, GWEI, Arena


class Hands:
    """`highest` is the highest head that anybody can have seen: finality counts from there."""

    def __init__(self, arena: Arena, head: int) -> None:
        self._rpc = arena.rpc
        self._signer = arena.signer
        self._chain_id = arena.deployment.chain_id
        self._relayer = arena.roles["relayer"]
        self.highest = head + FINALITY_DEPTH

    async def head(self) -> int:
        return int(await self._rpc.call("eth_blockNumber"), 16)

    async def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            await self._rpc.call("evm_mine")
        self.highest = max(self.highest, await self.head())

    async def drop(self, chance: random.Random) -> str:
        """The pool forgets everything, or one transaction."""
        pool = (await self._rpc.call("txpool_content"))["pending"]
        hashes = sorted(one["hash"] for lane in pool.values() for one in lane.values())
        if hashes and chance.random() < 0.5:
            await self._rpc.call("anvil_dropTransaction", chance.choice(hashes))
            return "one"
        await self._rpc.call("anvil_dropAllTransactions")
        return "all"

    async def price(self, base_fee_wei: int) -> None:
        await self._rpc.call("anvil_setNextBlockBaseFeePerGas", quantity(base_fee_wei))

    async def reorganise(self, chance: random.Random) -> str:
        """Replace the newest blocks above the final one; their transactions are lost or come in other blocks."""
        head = await self.head()
        depth_max = head - (self.highest - FINALITY_DEPTH)
        if depth_max < 1:
            return "nothing above the final block"
        depth = chance.randint(1, depth_max)
        kept = await self._transactions(head - depth + 1, head) if chance.random() < 0.5 else []
        chance.shuffle(kept)
        kept = kept[: chance.randint(0, len(kept))]
        places = [[raw, chance.randrange(depth)] for raw in kept]
        try:
            await self._rpc.call("anvil_reorg", depth, places)
        except RpcError:
            # A transaction that does not fit its new place: then all of them are lost.
            await self._rpc.call("anvil_reorg", depth, [])
            places = []
        return f"depth {depth}, {len(places)} kept"

    async def roll_back(self, chance: random.Random) -> str:
        """The node forgets blocks, as one does that was restored; the next ones will be others."""
        head = await self.head()
        depth_max = head - (self.highest - FINALITY_DEPTH)
        if depth_max < 1:
            return "nothing above the final block"
        depth = chance.randint(1, depth_max)
        await self._rpc.call("anvil_rollback", depth)
        return f"depth {depth}"

    async def spend_nonce(self, chance: random.Random) -> str:
        """A stranger with the relayer's key, who may take a nonce that one of ours holds in the pool."""
        tag = chance.choice(("latest", "pending"))
        nonce = int(await self._rpc.call("eth_getTransactionCount", self._relayer, tag), 16)
        fees = Fees(400 * GWEI, 100 * GWEI)
        unsigned = UnsignedTransaction(self._chain_id, nonce, fees, 21_000, self._relayer, b"")
        (signature,) = await self._signer.sign([(self._relayer, unsigned.digest())])
        with suppress(RpcError):
            await self._rpc.call("eth_sendRawTransaction", unsigned.signed(signature).raw)
        return tag

    async def _transactions(self, first: int, last: int) -> list[str]:
        blocks: list[dict[str, Any]] = await self._rpc.batch(
            [("eth_getBlockByNumber", (quantity(number), False)) for number in range(first, last + 1)]
        )
        return await self._rpc.batch(
            [("debug_getRawTransaction", (name,)) for block in blocks for name in block["transactions"]]
        )
