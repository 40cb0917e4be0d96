"""The ledger under every order of events, beside a shadow that is too simple to be wrong in the same way.

After each step: the counters are the shadow's, available + held is what the lots hold, nothing is negative,
and the ledger differs from the chain by nothing but the orders that are open (promises P3 and P4).
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from factories.ledger import LedgerWorld, make_world
from mereau.core.db import create_engine, snapshot, transaction
from mereau.core.errors import InvalidInputError
from mereau.journal import service as journal
from mereau.journal import tasks as journal_tasks
from mereau.ledger import tasks
from mereau.ledger.errors import HoldSettledError, InsufficientBalanceError
from mereau.ledger.replay.service import find_differences
from mereau.members import service as members
from mereau.members.service import MemberDraft
from properties.ledger_shadow import Shadow, ShadowLot, ShadowOrder

DAY = timedelta(days=1)
MEMBERS = st.integers(0, 1)
TOKENS = st.integers(1, 100)


ACCOUNTS = text("""
    select a.*, coalesce(b.tokens, 0) as on_chain from accounts a
    join wallets w on w.owner_kind = 'member' and w.owner_id = a.member_id
    left join chain_balances b on b.wallet = w.address
    where a.member_id = any(:ids)
""")
LOTS = text("select * from lots where member_id = any(:ids)")
RETIRE = "update lots set expires_at = null where expires_at is not null and remaining > 0"
"""Lots of earlier examples never expire: each expiry would walk past all of them, for nothing."""
ORDERS = text("select o.id, o.tokens from chain_orders o join entries e on e.id = o.id where e.member_id = any(:ids)")


class LedgerMachine(RuleBasedStateMachine):
    """Two fresh members per example, on the database of the test."""

    runner: ClassVar[asyncio.Runner]
    world: ClassVar[LedgerWorld]

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def enrol(self) -> None:
        async def two() -> list[str]:
            drafts = [MemberDraft(self.world.next_id("M")) for _ in range(2)]
            async with transaction(self.world.engine) as session:
                return [member.id for member in await members.enrol(session, drafts, self.world.now)]

        self.run(self.world.write(RETIRE))
        self.world.members = self.run(two())
        self.shadow = Shadow()
        self.mined: list[str] = []
        for member, tokens, life in ((0, 60, 3 * DAY), (0, 50, None), (1, 80, 20 * DAY)):
            self.credit(member, 0, tokens, life, timedelta())
        self.seal_line(self.in_state("queued")[0])
        self.mine_batch(self.in_state("sealed")[0].batch)

    @rule(
        member=MEMBERS,
        partner=st.integers(0, 1),
        tokens=TOKENS,
        life=st.sampled_from([None, 3 * DAY, 20 * DAY]),
        delay=st.sampled_from([timedelta(), timedelta(), 2 * DAY]),
    )
    def credit(self, member: int, partner: int, tokens: int, life: timedelta | None, delay: timedelta) -> None:
        item = self.world.a_credit(tokens, member, partner=partner, life=life, delay=delay)
        self.run(self.world.post(item))
        lot = ShadowLot(item.entry_id, member, partner, tokens, item.activates_at, item.expires_at, pending=bool(delay))
        self.shadow.credit(lot)

    @rule(data=st.data(), tokens=TOKENS)
    def reverse(self, data: st.DataObject, tokens: int) -> None:
        lot = data.draw(st.sampled_from(list(self.shadow.lots.values())))
        item = self.world.a_reversal(lot.id, tokens, lot.partner)
        if not lot.refused and tokens > lot.tokens - self.shadow.returned(lot):
            with pytest.raises(InvalidInputError):
                self.run(self.world.take_back(item))
            return
        (posted,) = self.run(self.world.take_back(item))
        expected = self.shadow.reverse(item.entry_id, lot, tokens)
        seen = (posted.cancelled_tokens, posted.reversed_tokens, posted.debt_tokens, posted.forgiven_tokens)
        assert seen == expected
        assert sum(seen) == tokens
        assert (posted.entry_id is not None) == bool(posted.reversed_tokens)

    @rule(member=MEMBERS, percent=st.integers(1, 110))
    def hold(self, member: int, percent: int) -> None:
        """Mostly what the balance covers, sometimes a little more."""
        available = self.shadow.counters(member)[0]
        tokens = available * percent // 100 + 1
        if tokens > available:
            with pytest.raises(InsufficientBalanceError) as refusal:
                self.run(self.world.hold(tokens, member))
            assert refusal.value.missing_tokens == tokens - available
            return
        key: str = self.run(self.world.hold(tokens, member))
        self.shadow.orders[key] = ShadowOrder(key, "redeem", member, 1, tokens)
        assert self.shadow.take(key, member, tokens) == 0

    def redemptions(self) -> list[str]:
        return [order.id for order in self.shadow.orders.values() if order.kind == "redeem"]

    @precondition(lambda self: self.redemptions())
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.redemptions()))
        if self.shadow.orders[key].state != "queued":
            with pytest.raises(HoldSettledError):
                self.run(self.world.void(key))
            return
        self.run(self.world.void(key))
        self.shadow.undo_debit(key)

    def in_state(self, *states: str) -> list[ShadowOrder]:
        return [order for order in self.shadow.orders.values() if order.state in states]

    @precondition(lambda self: self.in_state("queued"))
    @rule(data=st.data())
    def seal(self, data: st.DataObject) -> None:
        """Seal the queued orders of one line; a burn only if the chain can execute it beside those sealed."""
        self.seal_line(data.draw(st.sampled_from(self.in_state("queued"))))

    def seal_line(self, first: ShadowOrder) -> None:
        chosen = []
        for order in self.in_state("queued"):
            if (order.kind, order.partner) != (first.kind, first.partner):
                continue
            left = self.shadow.chain.get(order.member, 0) - self.shadow.sealed_debits(order.member)
            if order.kind == "issue" or order.tokens <= left:
                order.state = "sealed"
                chosen.append(order)
        if chosen:
            batch = self.run(self.world.seal(*(order.id for order in chosen)))
            for order in chosen:
                order.batch = batch

    def of_batch(self, batch: str) -> list[ShadowOrder]:
        return [order for order in self.shadow.orders.values() if order.batch == batch]

    @precondition(lambda self: self.in_state("sealed"))
    @rule(data=st.data())
    def mine(self, data: st.DataObject) -> None:
        self.mine_batch(data.draw(st.sampled_from(self.in_state("sealed"))).batch)

    def mine_batch(self, batch: str | None) -> None:
        assert batch is not None
        self.run(self.world.follow(mined=[batch]))
        self.shadow.move_on_chain(self.of_batch(batch), 1)
        for order in self.of_batch(batch):
            order.state = "mined"
        self.mined.append(batch)

    @precondition(lambda self: self.mined)
    @rule()
    def finish(self) -> None:
        batch = self.mined.pop(0)
        self.run(self.world.follow(final=[batch]))
        for order in self.of_batch(batch):
            order.state = "final"

    @precondition(lambda self: self.mined)
    @rule(again=st.booleans())
    def reorganise(self, again: bool) -> None:
        """The newest batch leaves the chain, or leaves and comes back in one step."""
        batch = self.mined[-1]
        self.run(self.world.follow(reorged=[batch], mined=[batch] if again else []))
        if not again:
            self.mined.pop()
            self.shadow.move_on_chain(self.of_batch(batch), -1)
            for order in self.of_batch(batch):
                order.state = "sealed"

    @precondition(lambda self: self.in_state("sealed"))
    @rule(data=st.data())
    def supersede(self, data: st.DataObject) -> None:
        """A sealed batch is given up, and its orders wait again."""
        batch = data.draw(st.sampled_from(self.in_state("sealed"))).batch
        assert batch is not None
        self.run(self.world.write("update chain_batches set state = 'superseded' where id = :id", id=batch))
        self.run(
            self.world.write(
                "update chain_orders set state = 'queued', batch_id = null, batch_index = null where batch_id = :id",
                id=batch,
            )
        )
        for order in self.of_batch(batch):
            order.state, order.batch = "queued", None

    def refusable(self) -> list[ShadowOrder]:
        """Queued orders, unless burns that were signed rely on them, and signed redemptions."""
        return [
            order
            for order in self.in_state("queued", "sealed")
            if (order.state == "queued" or order.kind == "redeem")
            and (
                order.kind != "issue"
                or self.shadow.sealed_debits(order.member) <= self.shadow.chain.get(order.member, 0)
            )
        ]

    def refuse_one(self, data: st.DataObject, orders: list[ShadowOrder]) -> None:
        order = data.draw(st.sampled_from(orders))
        self.run(self.world.reject(order.id))
        self.shadow.refuse(order.id)

    @precondition(lambda self: self.refusable())
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        self.refuse_one(data, self.refusable())

    def refusable_and_used(self) -> list[ShadowOrder]:
        """Credits on which debits rely already: the rarest and hardest to undo."""
        return [order for order in self.refusable() if order.kind == "issue" and self.shadow.lots[order.id].uses]

    @precondition(lambda self: self.refusable_and_used())
    @rule(data=st.data())
    def refuse_a_used_credit(self, data: st.DataObject) -> None:
        self.refuse_one(data, self.refusable_and_used())

    @rule(step=st.sampled_from([DAY, 4 * DAY]))
    def activate(self, step: timedelta) -> None:
        self.world.now += step
        self.run(tasks.activate_due(self.world.engine, self.world.now, chunk=2))
        self.shadow.activate(self.world.now)

    @rule(protected=st.sampled_from([0, 30]))
    def expire(self, protected: int) -> None:
        """Expire what the contract would let go: the balance less what it protects, less burns under way."""
        allowed = {index: max(0, self.shadow.chain.get(index, 0) - protected) for index in range(2)}

        async def expirable(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
            async with snapshot(self.world.engine) as session:
                rows = await session.execute(text("select address, owner_id from wallets where owner_kind = 'member'"))
                owners = {row.address: row.owner_id for row in rows}
            ids = {member: allowed[index] for index, member in enumerate(self.world.members)}
            return {wallet: ids.get(owners[wallet], 0) for wallet in wallets}

        self.run(tasks.expire_due(self.world.engine, self.world.now, expirable, chunk=2))
        made = self.run(self.world.rows("select id, source_id from entries where kind = 'expire'"))
        known = self.shadow.orders.keys()
        key_of = {row.source_id: row.id for row in made if row.id not in known}
        open_ = {
            index: sum(o.tokens for o in self.in_state("queued", "sealed") if o.member == index and o.kind != "issue")
            for index in range(2)
        }
        self.shadow.expire(self.world.now, key_of, {index: allowed[index] - open_[index] for index in range(2)})

    @invariant()
    def the_ledger_is_its_shadow_and_the_chain_agrees(self) -> None:
        accounts, lots, orders = self.run(self.look())
        assert {row.entry_id: row.remaining for row in lots} == {lot.id: lot.free for lot in self.shadow.lots.values()}
        assert {row.id: row.tokens for row in orders} == {o.id: o.tokens for o in self.shadow.orders.values()}
        for member, member_id in enumerate(self.world.members):
            row = accounts.get(member_id)
            if row is None:
                assert self.shadow.counters(member) == (0, 0, 0, 0)
                continue
            seen = (max(0, row.available - row.debt), row.pending, row.held, row.debt)
            assert seen == self.shadow.counters(member)
            assert min(row.available, *seen) >= 0
            mine = [lot for lot in lots if lot.member_id == member_id]
            assert row.available == sum(lot.remaining for lot in mine if lot.state != "pending")
            assert row.held == sum(lot.held for lot in mine)
            assert row.on_chain == self.shadow.chain.get(member, 0)
            # Redemptions stay held until they are mined, so they are in neither sum.
            open_ = sum(
                order.sign * order.tokens
                for order in self.in_state("queued", "sealed")
                if order.member == member and order.kind != "redeem"
            )
            assert row.available + row.held == row.on_chain + open_

    async def look(self) -> tuple[dict[str, Any], list[Any], list[Any]]:
        """Accounts by member, lots and orders of this example."""
        ids = {"ids": list(self.world.members)}
        async with snapshot(self.world.engine) as session:
            accounts = await session.execute(ACCOUNTS, ids)
            lots = await session.execute(LOTS, ids)
            orders = await session.execute(ORDERS, ids)
            return {row.member_id: row for row in accounts}, list(lots), list(orders)

    def teardown(self) -> None:
        async def check() -> list[str]:
            """The entries alone give the same lots, and the journal's chain holds."""
            assert [str(found) async for found in find_differences(self.world.engine)] == []
            await journal_tasks.seal(self.world.engine)
            async with snapshot(self.world.engine) as session:
                return await journal.verify(session)

        assert self.run(check()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_ledger_is_its_shadow(database_url: str) -> None:
    with asyncio.Runner() as runner:
        engine = create_engine(database_url)
        world = runner.run(make_world(engine, member_count=0, return_policy="debt"))
        machine = type("BoundLedgerMachine", (LedgerMachine,), {"runner": runner, "world": world})
        try:
            # Shrinking replays on the database for minutes; thirty steps are short enough to read as they are.
            phases = (Phase.explicit, Phase.generate)
            run_state_machine_as_test(
                machine, settings=settings(max_examples=12, stateful_step_count=30, phases=phases)
            )
        finally:
            runner.run(engine.dispose())
