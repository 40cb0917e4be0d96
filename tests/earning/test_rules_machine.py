"""Several rules, sales and returns in every order beside a shadow of plain numbers, on a real database.

After each step every entry's lot, every line and every counter is the shadow's: what a rule gave less what came back
is never below nothing, and a sale of which all came back has given nothing.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from factories.earning import Shop, a_line, make_shop
from mereau.core.db import create_engine, transaction
from mereau.earning import service as earning
from mereau.earning.service import RecordedReturn, RecordedSale
from mereau.members import service as members
from mereau.members.service import MemberDraft

LINES = st.lists(st.tuples(st.sampled_from([0, 99, 350, 1_000, 3_333]), st.integers(1, 4)), min_size=1, max_size=3)
PROMO_TOKENS_MAX = 60
PROMO_USES_MAX = 3
SPECS: dict[str, list[dict[str, Any]]] = {
    "base": [{"rate": {"tokens": tokens, "per_minor": 100}} for tokens in (1, 2)],
    "promo": [
        {
            "fixed": {"tokens": tokens},
            "limits": [{"per": "member", "period": "ever", "uses": PROMO_USES_MAX, "tokens": PROMO_TOKENS_MAX}],
        }
        for tokens in (7, 25)
    ],
    "third": [{"every_nth": {"n": 3, "tokens": tokens}} for tokens in (11, 50)],
    "double": [{"multiplier": {"percent": percent}} for percent in (150, 300)],
}

SHARES = """
    select entry_id, line_number, tokens from sale_credits where sale_id = :sale
    union all
    select s.entry_id, l.line_number, l.tokens from sales s join sale_lines l on l.sale_id = s.id
    where s.id = :sale and s.entry_id is not null and not exists (select 1 from sale_credits where sale_id = :sale)
"""
LOTS = """
    select entry_id, tokens, remaining, reversed from lots where member_id = :member order by entry_id
"""
LINE_ROWS = """
    select l.sale_id, l.line_number, l.returned_quantity, l.reversed_tokens
    from sale_lines l join sales s on s.id = l.sale_id where s.member_id = :member order by 1, 2
"""


@dataclass
class ShadowSale:
    """A recorded sale: units sold and back by line, and what each entry gave for each of them."""

    sale: RecordedSale
    units: list[int]
    shares: dict[str, dict[int, int]]
    rules: dict[str, str]
    stepped: bool
    back: Counter[int] = field(default_factory=Counter)

    @property
    def is_back(self) -> bool:
        return all(self.back[number] == units for number, units in enumerate(self.units, 1))

    def reversed(self, entry_id: str, number: int) -> int:
        return self.shares[entry_id].get(number, 0) * self.back[number] // self.units[number - 1]

    def reversed_in_all(self, entry_id: str) -> int:
        return sum(self.reversed(entry_id, number) for number in self.shares[entry_id])


class RulesMachine(RuleBasedStateMachine):
    """A fresh member per example, on the database of the test."""

    runner: ClassVar[asyncio.Runner]
    shop: ClassVar[Shop]

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def enrol(self) -> None:
        async def one() -> str:
            async with transaction(self.shop.engine) as session:
                return (await members.enrol(session, [MemberDraft(self.shop.next_id("M"))], self.shop.now))[0].id

        self.shop.members = [self.run(one())]
        self.sales: list[ShadowSale] = []
        self.active: dict[str, str] = {}
        for name in SPECS:
            self.activate(name, 0)

    @rule(name=st.sampled_from(sorted(SPECS)), version=st.integers(0, 1))
    def activate(self, name: str, version: int) -> None:
        reference = self.run(self.shop.activate(SPECS[name][version], name))
        self.active[name] = reference

    @rule(name=st.sampled_from(["promo", "third", "double"]))
    def deactivate(self, name: str) -> None:
        """What was given stays given."""

        async def end(rule_id: str) -> None:
            async with transaction(self.shop.engine) as session:
                await earning.deactivate_rule(session, rule_id, self.shop.now, actor="key:test")

        if reference := self.active.pop(name, None):
            self.run(end(reference.partition("@")[0]))

    @rule(receipts=st.lists(LINES, min_size=1, max_size=3))
    def sell(self, receipts: list[list[tuple[int, int]]]) -> None:
        drafts = [self.shop.a_sale(*(a_line(amount, quantity=units) for amount, units in lines)) for lines in receipts]
        for lines, sale in zip(receipts, self.run(self.shop.record(*drafts)), strict=True):
            assert isinstance(sale, RecordedSale)
            self.note(sale, [units for _, units in lines])

    def note(self, sale: RecordedSale, units: list[int]) -> None:
        names = {reference: name for name, reference in self.active.items()}
        rules = {award.entry_id: names[award.rule] for award in sale.awards}
        shares: dict[str, dict[int, int]] = {award.entry_id: {} for award in sale.awards}
        for row in self.run(self.shop.rows(SHARES, sale=sale.id)):
            shares[row.entry_id][row.line_number] = row.tokens
        for award in sale.awards:
            assert sum(shares[award.entry_id].values()) == award.tokens > 0
        self.sales.append(ShadowSale(sale, units, shares, rules, "third" in self.active))

    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        if not self.sales:
            return
        known = data.draw(st.sampled_from(self.sales))
        lines = []
        for number, units in enumerate(known.units, 1):
            if left := units - known.back[number]:
                back = data.draw(st.integers(0, left))
                lines += [(number, back)] if back else []
        self.take(known, lines)

    @rule(data=st.data())
    def bring_everything_back(self, data: st.DataObject) -> None:
        if self.sales:
            known = data.draw(st.sampled_from(self.sales))
            left = [(number, units - known.back[number]) for number, units in enumerate(known.units, 1)]
            self.take(known, [(number, units) for number, units in left if units])
            assert known.is_back
            assert sum(known.reversed_in_all(entry_id) for entry_id in known.shares) == known.sale.tokens

    def take(self, known: ShadowSale, lines: list[tuple[int, int]]) -> None:
        if not lines:
            return
        before = sum(known.reversed_in_all(entry_id) for entry_id in known.shares)
        known.back.update(dict(lines))
        due = sum(known.reversed_in_all(entry_id) for entry_id in known.shares) - before
        (done,) = self.run(self.shop.record_back(self.shop.a_return(known.sale, *lines)))
        assert isinstance(done, RecordedReturn)
        assert (done.tokens_due, done.tokens_reversed) == (due, due)

    @invariant()
    def every_lot_and_line_is_the_shadows(self) -> None:
        member = self.shop.members[0]
        lots = self.run(self.shop.rows(LOTS, member=member))
        expected = {
            award.entry_id: (award.tokens, known.reversed_in_all(award.entry_id))
            for known in self.sales
            for award in known.sale.awards
        }
        assert {lot.entry_id: (lot.tokens, lot.reversed) for lot in lots} == expected
        assert all(lot.remaining == lot.tokens - lot.reversed >= 0 for lot in lots)
        lines = {
            (known.sale.id, number): (known.back[number], sum(known.reversed(entry, number) for entry in known.shares))
            for known in self.sales
            for number in range(1, len(known.units) + 1)
        }
        rows = self.run(self.shop.rows(LINE_ROWS, member=member))
        assert {(row.sale_id, row.line_number): (row.returned_quantity, row.reversed_tokens) for row in rows} == lines

    @invariant()
    def every_counter_is_the_shadows(self) -> None:
        rows = self.run(
            self.shop.rows("select * from earning_counters where member_id = :member", member=self.shop.members[0])
        )
        counted = {row.rule: (row.uses, row.tokens, row.seen) for row in rows}
        for name in ("promo", "third"):
            mine = [(known, entry) for known in self.sales for entry, rule in known.rules.items() if rule == name]
            uses = sum(not known.is_back for known, _ in mine)
            tokens = sum(sum(known.shares[entry].values()) - known.reversed_in_all(entry) for known, entry in mine)
            seen = sum(known.stepped and not known.is_back for known in self.sales) if name == "third" else 0
            assert counted.get(name, (0, 0, 0)) == (uses, tokens, seen)
        uses, tokens, _ = counted.get("promo", (0, 0, 0))
        assert uses <= PROMO_USES_MAX
        assert tokens <= PROMO_TOKENS_MAX


def test_rules_sales_and_returns_are_their_shadow(database_url: str) -> None:
    with asyncio.Runner() as runner:
        engine = create_engine(database_url)
        shop = runner.run(make_shop(engine, None, member_count=0))
        machine = type("BoundRulesMachine", (RulesMachine,), {"runner": runner, "shop": shop})
        try:
            phases = (Phase.explicit, Phase.generate)
            run_state_machine_as_test(machine, settings=settings(max_examples=6, stateful_step_count=20, phases=phases))
        finally:
            runner.run(engine.dispose())
