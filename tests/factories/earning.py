"""A ledger world with an active earning rule, and short words for selling and bringing back."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from mereau.core.db import snapshot, transaction
from mereau.core.errors import MereauError
from mereau.earning import service as earning
from mereau.earning.compiled.domain import RuleSet, compile_rule
from mereau.earning.domain import RuleSpec
from mereau.earning.evaluation.domain import evaluate
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.earning.service import (
    RecordedReturn,
    RecordedSale,
    ReturnDraft,
    ReturnOutcome,
    SaleDraft,
    SaleLineDraft,
    SaleOutcome,
    SaleView,
)

ONE_PER_UNIT: Mapping[str, object] = {"rate": {"tokens": 1, "per_minor": 100}}


def a_line(amount_minor: int = 1_000, **changes: Any) -> SaleLineDraft:
    """One line of one unit; every field may be given."""
    fields: dict[str, Any] = {"sku": "bread", "category": None, "quantity": 1, "unit_price_micro": None}
    return SaleLineDraft(**fields | {"amount_minor": amount_minor} | changes)


@dataclass
class Shop(LedgerWorld):
    """Sales are of the first partner to the first member, in EUR, at this moment, unless told otherwise."""

    def a_sale(self, *lines: SaleLineDraft, member: int | None = 0, partner: int = 0, **changes: Any) -> SaleDraft:
        fields: dict[str, Any] = {
            "partner_id": self.partners[partner].id,
            "external_id": self.next_id("receipt"),
            "member_id": None if member is None else self.members[member],
            "occurred_at": self.now,
            "currency": "EUR",
            "lines": lines or (a_line(),),
        }
        return SaleDraft(**fields | changes)

    async def record(self, *drafts: SaleDraft) -> list[SaleOutcome]:
        async with transaction(self.engine) as session:
            return await earning.record_sales(session, drafts, self.now)

    async def sell(self, *lines: SaleLineDraft, **changes: Any) -> RecordedSale:
        (outcome,) = await self.record(self.a_sale(*lines, **changes))
        assert isinstance(outcome, RecordedSale), outcome
        return outcome

    def a_return(self, sale: RecordedSale, *lines: tuple[int, int], **changes: Any) -> ReturnDraft:
        fields: dict[str, Any] = {
            "sale_id": sale.id,
            "partner_id": sale.partner_id,
            "external_id": self.next_id("slip"),
            "occurred_at": self.now,
            "lines": lines or ((1, 1),),
        }
        return ReturnDraft(**fields | changes)

    async def record_back(self, *drafts: ReturnDraft) -> list[ReturnOutcome]:
        async with transaction(self.engine) as session:
            return await earning.record_returns(session, drafts, self.now)

    async def bring_back(self, sale: RecordedSale, *lines: tuple[int, int], **changes: Any) -> RecordedReturn:
        (outcome,) = await self.record_back(self.a_return(sale, *lines, **changes))
        assert isinstance(outcome, RecordedReturn), outcome
        return outcome

    async def view(self, sale_id: str, **whose: str) -> SaleView | None:
        async with snapshot(self.engine) as session:
            return await earning.sale_view(session, sale_id, **whose)

    async def line_counters(self, sale_id: str) -> list[tuple[int, int]]:
        """(returned units, reversed tokens) of the sale's lines."""
        view = await self.view(sale_id)
        assert view is not None
        return [(line.returned_quantity, line.reversed_tokens) for line in view.lines]

    async def activate(self, spec: Mapping[str, object], external_id: str = "base") -> str:
        """Make and activate a version of a rule; its reference."""
        async with transaction(self.engine) as session:
            rule = await earning.create_rule(session, external_id, spec, self.now, actor="key:test")
            await earning.activate_rule(session, rule.id, self.now, actor="key:test")
            return f"{rule.id}@{rule.version}"

    async def wait_for_a_waiter(self) -> None:
        """Return once some transaction of this database waits for another one's lock."""
        query = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        for _ in range(3_000):
            if await self.rows(query):
                return
            await asyncio.sleep(0.01)
        raise TimeoutError("nobody waits")

    async def count(self, table: str) -> int:
        ((number,),) = await self.rows(f"select count(*) from {table}")
        return int(number)


@dataclass(frozen=True)
class Earned:
    """What one rule says of one sale, as plain figures."""

    eligible_minor: int
    tokens: int
    line_eligible_minor: tuple[int, ...]
    line_tokens: tuple[int, ...]


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def earned(spec: RuleSpec, lines: Sequence[SaleLineDraft], shipping_minor: int) -> Earned:
    """What a rule alone gives a member for a sale."""
    occasion = Occasion(
        "sale", NOON, MemberFacts("mem_1"), partner_id="par_1", lines=lines, shipping_minor=shipping_minor
    )
    outcome = evaluate(RuleSet([compile_rule(spec)]), occasion, {}, PARIS)
    return Earned(outcome.eligible_minor, outcome.tokens, outcome.line_eligible_minor, outcome.line_tokens)


def refused(outcomes: Sequence[SaleOutcome | ReturnOutcome]) -> list[str | None]:
    """The code of each outcome's refusal, None for what was recorded."""
    return [outcome.code if isinstance(outcome, MereauError) else None for outcome in outcomes]


async def make_shop(engine: AsyncEngine, spec: Mapping[str, object] | None = ONE_PER_UNIT, **changes: Any) -> Shop:
    """A world whose sales earn by `spec`; no rule where that is None."""
    world = await make_world(engine, **changes)
    shop = Shop(engine, world.now, world.partners, world.members)
    if spec is not None:
        await shop.activate(spec)
    return shop


def at(draft: SaleDraft, moment: datetime) -> SaleDraft:
    """The same sale at another time."""
    return replace(draft, occurred_at=moment)
