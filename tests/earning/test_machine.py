"""Sales and returns in every order beside a shadow of plain numbers, on a real database.

After each step every line's counters, the member's balance and the number of rows are the shadow's.
"""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from factories.earning import ONE_PER_UNIT, Shop, a_line, make_shop, refused
from mereau.core.db import create_engine, transaction
from mereau.earning.service import RecordedReturn, RecordedSale, ReturnDraft, SaleDraft
from mereau.members import service as members
from mereau.members.service import MemberDraft

AMOUNTS = st.sampled_from([0, 99, 100, 350, 1_000, 3_333])
LINES = st.lists(st.tuples(AMOUNTS, st.integers(1, 4)), min_size=1, max_size=3)
RATES = st.sampled_from([1, 2, 3])

LINE_ROWS = """
    select l.sale_id, l.line_number, l.tokens, l.returned_quantity, l.reversed_tokens
    from sale_lines l join sales s on s.id = l.sale_id where s.member_id = :member order by 1, 2
"""
TOTALS = """
    select (select count(*) from sales where member_id = :member) as sales,
        (select count(*) from returns r join sales s on s.id = r.sale_id where s.member_id = :member) as returns,
        (select count(*) from entries where member_id = :member) as entries,
        (select coalesce(sum(available), 0) from accounts where member_id = :member) as available,
        (select count(*) from outbox_events where type = 'sale.recorded' and payload ->> 'member_id' = :member) as told
"""


@dataclass
class ShadowLine:
    """A line: what it earned and what came back."""

    quantity: int
    tokens: int
    back: int = 0

    @property
    def reversed(self) -> int:
        return self.tokens * self.back // self.quantity

    @property
    def out(self) -> int:
        return self.quantity - self.back


@dataclass
class ShadowSale:
    """A recorded sale and the returns that it has taken."""

    draft: SaleDraft
    sale: RecordedSale
    lines: list[ShadowLine]
    returns: list[tuple[ReturnDraft, RecordedReturn]] = field(default_factory=list)


class SalesMachine(RuleBasedStateMachine):
    """A fresh member per example, on the database of the test."""

    runner: ClassVar[asyncio.Runner]
    shop: ClassVar[Shop]

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize(rate=RATES)
    def enrol(self, rate: int) -> None:
        async def one() -> str:
            async with transaction(self.shop.engine) as session:
                drafts = [MemberDraft(self.shop.next_id("M"))]
                return (await members.enrol(session, drafts, self.shop.now))[0].id

        self.shop.members = [self.run(one())]
        self.sales: list[ShadowSale] = []
        self.entries = 0
        self.change_rule(rate)
        self.sell([(1_000, 3), (350, 2)])

    @rule(rate=RATES)
    def change_rule(self, rate: int) -> None:
        """Sales that are recorded keep what they earned."""
        self.rate = rate
        self.run(self.shop.activate(dict(ONE_PER_UNIT) | {"rate": {"tokens": rate, "per_minor": 100}}))

    @rule(lines=LINES)
    def sell(self, lines: list[tuple[int, int]]) -> None:
        draft = self.shop.a_sale(*(a_line(amount, quantity=quantity) for amount, quantity in lines))
        first, again = self.run(self.shop.record(draft, draft))
        assert isinstance(first, RecordedSale)
        assert again == replace(first, duplicate=True)
        assert first.tokens == sum(amount for amount, _ in lines) * self.rate // 100
        view = self.run(self.shop.view(first.id))
        shadow = [ShadowLine(line.quantity, line.tokens) for line in view.lines]
        assert sum(line.tokens for line in shadow) == first.tokens
        self.sales.append(ShadowSale(draft, first, shadow))
        self.entries += first.tokens > 0

    def any_sale(self, data: st.DataObject) -> ShadowSale:
        return data.draw(st.sampled_from(self.sales))

    @rule(data=st.data(), days=st.integers(0, 400))
    def sell_again(self, data: st.DataObject, days: int) -> None:
        """Whenever it comes again, and whatever the rule says by then."""
        known = self.any_sale(data)
        self.shop.now += timedelta(days=days)
        (again,) = self.run(self.shop.record(replace(known.draft, staff_id="stf_other")))
        assert again == replace(known.sale, duplicate=True)

    @rule(data=st.data(), change=st.sampled_from(["amount", "quantity", "shipping", "member", "line"]))
    def sell_otherwise(self, data: st.DataObject, change: str) -> None:
        draft = self.any_sale(data).draft
        first = draft.lines[0]
        other = {
            "amount": replace(draft, lines=[replace(first, amount_minor=first.amount_minor + 1), *draft.lines[1:]]),
            "quantity": replace(draft, lines=[replace(first, quantity=first.quantity + 1), *draft.lines[1:]]),
            "shipping": replace(draft, shipping_minor=draft.shipping_minor + 1),
            "member": replace(draft, member_id=None),
            "line": replace(draft, lines=[*draft.lines, first]),
        }[change]
        assert refused(self.run(self.shop.record(other))) == ["recorded_otherwise"]

    def post_return(self, known: ShadowSale, lines: list[tuple[int, int]]) -> None:
        draft = self.shop.a_return(known.sale, *lines)
        (done,) = self.run(self.shop.record_back(draft))
        due = 0
        for number, units in lines:
            line = known.lines[number - 1]
            before = line.reversed
            line.back += units
            due += line.reversed - before
        assert isinstance(done, RecordedReturn)
        assert (done.tokens_due, done.tokens_reversed) == (due, due)
        assert (done.entry_id is not None) == (due > 0)
        known.returns.append((draft, done))
        self.entries += due > 0

    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        """Some units of some lines, a line perhaps named twice."""
        known = self.any_sale(data)
        lines = []
        for number, line in enumerate(known.lines, 1):
            left = line.out
            while left and data.draw(st.booleans()):
                units = data.draw(st.integers(1, left))
                lines.append((number, units))
                left -= units
        if lines:
            self.post_return(known, lines)

    @rule(data=st.data())
    def bring_everything_back(self, data: st.DataObject) -> None:
        known = self.any_sale(data)
        lines = [(number, line.out) for number, line in enumerate(known.lines, 1) if line.out]
        if lines:
            self.post_return(known, lines)
        assert sum(line.reversed for line in known.lines) == known.sale.tokens

    @rule(data=st.data(), excess=st.integers(1, 3))
    def bring_too_much_back(self, data: st.DataObject, excess: int) -> None:
        """Refused whole: the lines that would fit do not move either."""
        known = self.any_sale(data)
        number = data.draw(st.integers(1, len(known.lines)))
        lines = [(number, known.lines[number - 1].out + excess)]
        lines += [(other, line.out) for other, line in enumerate(known.lines, 1) if other != number and line.out]
        assert refused(self.run(self.shop.record_back(self.shop.a_return(known.sale, *lines)))) == ["over_return"]

    @rule(data=st.data())
    def bring_a_line_back_that_is_not_there(self, data: st.DataObject) -> None:
        known = self.any_sale(data)
        draft = self.shop.a_return(known.sale, (len(known.lines) + 1, 1))
        stranger = self.shop.a_return(known.sale, partner_id=self.shop.partners[1].id)
        assert refused(self.run(self.shop.record_back(draft, stranger))) == ["invalid_sale", "not_found"]

    def with_returns(self) -> list[ShadowSale]:
        return [known for known in self.sales if known.returns]

    @precondition(lambda self: self.with_returns())
    @rule(data=st.data(), turned=st.booleans())
    def bring_back_again(self, data: st.DataObject, turned: bool) -> None:
        """The same slip in any order of its lines is the recorded one; with more units it is a conflict."""
        known = data.draw(st.sampled_from(self.with_returns()))
        draft, done = data.draw(st.sampled_from(known.returns))
        same = replace(draft, lines=list(reversed(draft.lines)) if turned else draft.lines)
        other = replace(draft, lines=[*draft.lines, (1, 1)])
        again, conflict = self.run(self.shop.record_back(same, other))
        assert again == replace(done, duplicate=True)
        assert refused([conflict]) == ["recorded_otherwise"]

    @invariant()
    def the_books_are_the_shadow(self) -> None:
        member = self.shop.members[0]
        rows = self.run(self.shop.rows(LINE_ROWS, member=member))
        expected = [
            (known.sale.id, number, line.tokens, line.back, line.reversed)
            for known in self.sales
            for number, line in enumerate(known.lines, 1)
        ]
        assert [tuple(row) for row in rows] == sorted(expected)
        (totals,) = self.run(self.shop.rows(TOTALS, member=member))
        returns = sum(len(known.returns) for known in self.sales)
        assert (totals.sales, totals.returns, totals.entries) == (len(self.sales), returns, self.entries)
        assert totals.available == sum(line.tokens - line.reversed for known in self.sales for line in known.lines)
        assert totals.told == len(self.sales), "each sale is told once, however often it came"


def test_sales_and_returns_are_their_shadow(database_url: str) -> None:
    with asyncio.Runner() as runner:
        engine = create_engine(database_url)
        shop = runner.run(make_shop(engine, None, member_count=0))
        machine = type("BoundSalesMachine", (SalesMachine,), {"runner": runner, "shop": shop})
        try:
            phases = (Phase.explicit, Phase.generate)
            run_state_machine_as_test(machine, settings=settings(max_examples=8, stateful_step_count=25, phases=phases))
        finally:
            runner.run(engine.dispose())
