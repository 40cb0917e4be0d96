"""Random faults from a seed, and an exact oracle: every order took effect once or was rejected, and nothing else.

A seed that ever fails is pinned here for good.
"""

import random
from contextlib import suppress

import pytest

from chain.relayer.kit import Desk, frozen, seconds
from chain.relayer.proxy import Fault, FaultProxy, let_pass
from mereau.chain import relayer_store
from mereau.chain.broadcasting import BroadcastPolicy
from mereau.chain.errors import RpcError, RpcUnavailableError
from mereau.chain.hashing import keccak
from mereau.chain.orders import OrderKind
from mereau.chain.relayer import Relayer
from mereau.chain.rpc import RpcClient
from mereau.chain.sealing import Limits
from mereau.core.clock import ManualClock

MEMBERS = 6
ROUNDS = 40
BOUNDARIES = ("seal", "open_transaction", "add_attempt", "mark_broadcast")


class Crashed(BaseException):
    """The process dies at a write."""


class Storm:
    """One seeded run over a desk; every action is something that really happens to relayers."""

    def __init__(self, desk: Desk, proxy: FaultProxy, rpc: RpcClient, seed: int) -> None:
        self.desk = desk
        self.proxy = proxy
        self.rpc = rpc
        self.clock: ManualClock = frozen(desk)
        self.random = random.Random(seed)
        self.relayer = self._new_relayer()

    def _new_relayer(self) -> Relayer:
        policy = BroadcastPolicy(rebroadcast_delay_s=5, bump_delay_s=30)
        return self.desk.relayer(rpc=self.rpc, limits=Limits(orders_max=4), broadcast=policy)

    async def act(self) -> None:
        actions = (
            [self.queue] * 5 + [self.step] * 6 + [self.mine] * 4 + [self.desk.follow] * 3
            + [self.crash, self.crash, self.drop, self.lose_reply, self.swallow, self.spend_nonce, self.reorganise]
        )  # fmt: skip
        await self.random.choice(actions)()
        self.clock.advance(seconds(self.random.choice((0, 1, 6, 31))))

    async def queue(self) -> None:
        kind = self.random.choice((OrderKind.ISSUE,) * 3 + (OrderKind.REVERSE, OrderKind.REDEEM))
        member = self.desk.member(self.random.randrange(MEMBERS))
        tokens = self.random.randrange(0, 12)
        await self.desk.enqueue(self.desk.order(kind, member, tokens))

    async def step(self) -> None:
        with suppress(RpcError, RpcUnavailableError):
            await self.relayer.step()

    async def mine(self) -> None:
        await self.desk.rpc.call("evm_mine")

    async def crash(self) -> None:
        name = self.random.choice(BOUNDARIES)
        original, before = getattr(relayer_store, name), self.random.random() < 0.5

        async def dying(*args: object) -> None:
            if not before:
                await original(*args)
            raise Crashed

        with pytest.MonkeyPatch.context() as patch, suppress(Crashed, RpcError, RpcUnavailableError):
            patch.setattr(relayer_store, name, dying)
            await self.relayer.step()
        await self.relayer.close()
        self.relayer = self._new_relayer()

    async def drop(self) -> None:
        await self.desk.rpc.call("anvil_dropAllTransactions")

    async def lose_reply(self) -> None:
        self.proxy.fail_once("eth_sendRawTransaction", Fault(hang_up=True))
        await self.step()
        self.proxy.rule = let_pass

    async def swallow(self) -> None:
        self.proxy.fail_once("eth_sendRawTransaction", Fault(forward=False, result="0x" + "00" * 32))
        await self.step()
        self.proxy.rule = let_pass

    async def spend_nonce(self) -> None:
        """A stranger with the relayer's key; refused where one of ours holds the nonce in the pool."""
        with suppress(RpcError):
            await self.desk.send(self.desk.actors.relayer, b"", target=self.desk.actors.relayer, gas=21_000)

    async def reorganise(self) -> None:
        """Within the finality of five blocks; the lost transactions return to nobody's pool."""
        await self.mine()
        await self.mine()
        with suppress(RpcError):
            await self.desk.rpc.call("anvil_reorg", self.random.randint(1, 2), [])

    async def calm_down(self) -> None:
        """No more faults: within a bounded number of passes everything must have found its end."""
        for _ in range(60):
            self.clock.advance(seconds(6))
            await self.relayer.step()
            await self.mine()
            await self.desk.follow()
            open_batches = [one for one in await self.desk.batches() if one.state not in {"final", "superseded"}]
            if not open_batches and "queued" not in (await self.desk.states()).values():
                return
        raise AssertionError([(one.kind, one.state, one.sequence) for one in open_batches])


async def assert_exactly_once(desk: Desk) -> None:
    rejected = {one.id for one in desk.rejected}
    assert len(rejected) == len(desk.rejected)
    rows = await desk.rows("select id, kind, wallet, tokens, state from chain_orders")
    expected = dict.fromkeys((desk.member(number) for number in range(MEMBERS)), 0)
    for row in rows:
        assert row.state == ("rejected" if row.id in rejected else "sealed")
        if row.state == "sealed":
            expected[row.wallet] += row.tokens if row.kind == "issue" else -row.tokens
    assert {wallet: await desk.balance(wallet) for wallet in expected} == expected
    assert (await desk.read("totalSupply"))[0] == sum(expected.values())
    sequences = [one.sequence for one in await desk.batches() if one.sequence and one.state == "final"]
    assert len(set(sequences)) == len(sequences) <= await desk.sequence()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_whatever_happens_each_order_counts_once(slow_desk: Desk, seed: int) -> None:
    async with FaultProxy(slow_desk.rpc.url) as proxy, RpcClient(proxy.url) as client:
        storm = Storm(slow_desk, proxy, client, seed)
        try:
            for _ in range(ROUNDS):
                await storm.act()
            await storm.calm_down()
        finally:
            await storm.relayer.close()
        await assert_exactly_once(slow_desk)
        assert len(slow_desk.rejected) < len(await slow_desk.states())


async def test_the_oracle_notices_a_doubled_order(slow_desk: Desk) -> None:
    """The canary of this file: a test that cannot fail proves nothing."""
    desk = slow_desk
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(0), 5))
    async with desk.relayer() as relayer:
        await relayer.step()
        await desk.rpc.call("anvil_mine", "0x7")
        await desk.cycle(relayer)
    await assert_exactly_once(desk)
    await desk.issue_directly([(desk.member(0), 5)], keccak(b"again"))
    await desk.rpc.call("evm_mine")
    with pytest.raises(AssertionError):
        await assert_exactly_once(desk)
