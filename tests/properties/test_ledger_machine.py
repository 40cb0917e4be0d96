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
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
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
from mereau.members import service as members
from mereau.members.service import MemberDraft
from properties.ledger_shadow import Shadow, ShadowLot, ShadowOrder

DAY = timedelta(days=1)
MEMBERS = st.integers(0, 1)
TOKENS = st.integers(1, 100)


class LedgerMachine(RuleBasedStateMachine):
    """Two fresh members per example, on the database of the test."""

    runner: ClassVar[asyncio.Runner]
    world: ClassVar[LedgerWorld]

    lots = Bundle("lots")
    redemptions = Bundle("redemptions")

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def enrol(self) -> None:
        async def two() -> list[str]:
            drafts = [MemberDraft(self.world.next_id("M")) for _ in range(2)]
            async with transaction(self.world.engine) as session:
                return [member.id for member in await members.enrol(session, drafts, self.world.now)]

        self.world.members = self.run(two())
        self.shadow = Shadow()
        self.mined: list[str] = []

    @rule(
        target=lots,
        member=MEMBERS,
        partner=st.integers(0, 1),
        tokens=TOKENS,
        life=st.sampled_from([None, 3 * DAY, 20 * DAY]),
        delay=st.sampled_from([timedelta(), timedelta(), 2 * DAY]),
    )
    def credit(self, member: int, partner: int, tokens: int, life: timedelta | None, delay: timedelta) -> str:
        item = self.world.a_credit(tokens, member, partner=partner, life=life, delay=delay)
        self.run(self.world.post(item))
        lot = ShadowLot(item.entry_id, member, partner, tokens, item.activates_at, item.expires_at, pending=bool(delay))
        self.shadow.credit(lot)
        return item.entry_id

    @rule(key=lots, tokens=TOKENS)
    def reverse(self, key: str, tokens: int) -> None:
        lot = self.shadow.lots[key]
        item = self.world.a_reversal(key, tokens, lot.partner)
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

    @rule(target=redemptions, member=MEMBERS, tokens=TOKENS)
    def hold(self, member: int, tokens: int) -> Any:
        available = self.shadow.counters(member)[0]
        if tokens > available:
            with pytest.raises(InsufficientBalanceError) as refusal:
                self.run(self.world.hold(tokens, member))
            assert refusal.value.missing_tokens == tokens - available
            return multiple()
        key: str = self.run(self.world.hold(tokens, member))
        self.shadow.orders[key] = ShadowOrder(key, "redeem", member, 1, tokens)
        assert self.shadow.take(key, member, tokens) == 0
        return key

    @rule(key=consumes(redemptions))
    def void(self, key: str) -> None:
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
        first = data.draw(st.sampled_from(self.in_state("queued")))
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
        batch = data.draw(st.sampled_from(self.in_state("sealed"))).batch
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

    @precondition(lambda self: self.refusable())
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.refusable()))
        self.run(self.world.reject(order.id))
        self.shadow.refuse(order.id)

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
    def counters_are_the_shadows(self) -> None:
        for member in range(2):
            seen = self.run(self.world.balance(member))
            figures = (seen.available, seen.pending, seen.held, seen.debt)
            assert figures == self.shadow.counters(member)
            assert min(figures) >= 0
            assert seen.on_chain == self.shadow.chain.get(member, 0)

    @invariant()
    def nothing_drifts(self) -> None:
        assert self.run(self.world.drift()) == 0

    @invariant()
    def every_order_is_one_entry_at_most(self) -> None:
        orders = self.run(
            self.world.rows(
                "select o.id, o.tokens, o.state from chain_orders o join entries e on e.id = o.id"
                " where e.member_id = any(:ids)",
                ids=list(self.world.members),
            )
        )
        assert {row.id: row.tokens for row in orders} == {o.id: o.tokens for o in self.shadow.orders.values()}

    def teardown(self) -> None:
        async def check() -> list[str]:
            await journal_tasks.seal(self.world.engine)
            async with snapshot(self.world.engine) as session:
                return await journal.verify(session)

        assert self.run(check()) == []


@pytest.mark.slow
def test_the_ledger_is_its_shadow(database_url: str) -> None:
    with asyncio.Runner() as runner:
        engine = create_engine(database_url)
        world = runner.run(make_world(engine, member_count=0, return_policy="debt"))
        machine = type("BoundLedgerMachine", (LedgerMachine,), {"runner": runner, "world": world})
        try:
            run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=25))
        finally:
            runner.run(engine.dispose())
