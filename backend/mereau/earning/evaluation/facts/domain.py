"""What rules look at: the occasion, the member, and both as facts for expressions. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import cel

from mereau.earning.compiled.domain import Goods
from mereau.earning.domain import Line
from mereau.earning.expressions.domain import LINES_EXPOSED_MAX


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """A member as rules see them. What no active rule asks for is not loaded and stays empty."""

    id: str
    tier: str | None = None
    tier_rank: int = 0
    tier_multiplier_percent: int = 100
    segment_ids: frozenset[str] = frozenset()
    has_bought: bool = False


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something that may earn. `member` None is nobody known.

    An occasion that is no sale has no lines; `source_id` (its document, with its prefix) and `source_reference`
    (the partner's own number of it) make it count once per trigger and member. Without `partner_id`, each rule
    pays from its issuing partner's allowance. `rule_external_id` confines it to one rule, as a code bound to a
    campaign does. `attributes` are what rules match and expressions read: texts, integers, booleans.
    """

    trigger: str
    occurred_at: datetime
    member: MemberFacts | None
    source_id: str = ""
    source_reference: str = ""
    partner_id: str | None = None
    location_id: str | None = None
    staff_id: str | None = None
    channel: str | None = None
    lines: Sequence[Line] = ()
    shipping_minor: int = 0
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    rule_external_id: str | None = None


class CelFacts:
    """The facts of one occasion. Lines are handed over once per scope, and only where an expression names them."""

    def __init__(self, occasion: Occasion, member: MemberFacts, local: datetime) -> None:
        self._lines = occasion.lines
        self._common: dict[str, Any] = {
            "shipping_minor": occasion.shipping_minor,
            "member": {"tier": member.tier or "", "tier_rank": member.tier_rank},
            "attributes": dict(occasion.attributes),
            "partner_id": occasion.partner_id or "",
            "location_id": occasion.location_id or "",
            "channel": occasion.channel or "",
            "weekday": local.isoweekday(),
            "hour": local.hour,
        }
        self._contexts: dict[tuple[int, bool], cel.Context] = {}

    def context(self, program: cel.Program, goods: Goods) -> cel.Context:
        """The facts for a program of a rule that sees these goods."""
        with_lines = "lines" in program.variables()
        known = self._contexts.get((id(goods), with_lines))
        if known is None:
            facts = self._common | {"amount_minor": goods.eligible_minor, "items": sum(goods.units)}
            if with_lines:
                facts["lines"] = self._exposed(goods)
            known = self._contexts[id(goods), with_lines] = cel.Context(variables=facts)
        return known

    def _exposed(self, goods: Goods) -> list[dict[str, Any]]:
        """The lines in scope, the first hundred of them."""
        shown = [
            {
                "sku": line.sku,
                "category": line.category or "",
                "brand": line.brand or "",
                "labels": list(line.labels),
                "quantity": line.quantity,
                "amount_minor": amount_minor,
            }
            for line, units, amount_minor in zip(self._lines, goods.units, goods.amounts_minor, strict=True)
            if units
        ]
        return shown[:LINES_EXPOSED_MAX]
