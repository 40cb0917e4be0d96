"""Dry runs on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mereau.core.schemas import ExternalId, Instant, Label, ObjectId, Request, Resource
from mereau.earning.domain import Trigger
from mereau.earning.evaluation.domain import Fired, Skipped
from mereau.earning.evaluation.facts.domain import Occasion
from mereau.earning.rules.schemas import RuleCreate
from mereau.earning.schemas import MemberRef, SaleCreate
from mereau.earning.simulation.service import Simulated
from mereau.ledger.service import Credit

Attribute = bool | Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)] | Annotated[str, Field(max_length=255)]


class OccasionIn(Request):
    """Something other than a sale that may earn."""

    trigger: Trigger
    occurred_at: Instant
    member: MemberRef | None = None
    partner_id: ObjectId | None = None
    location_id: ObjectId | None = None
    channel: Label | None = None
    attributes: dict[Label, Attribute] = Field(default={}, max_length=50)
    rule_external_id: ExternalId | None = Field(default=None, description="Only this rule, as a code may be bound to.")

    @model_validator(mode="after")
    def _no_sale(self) -> Self:
        if self.trigger == "sale":
            raise PydanticCustomError("one_of", "A sale is tried as sale, with its lines")
        return self


class SimulationCreate(Request):
    """A sale or another occasion, and perhaps a rule that is to be tried beside the active ones.

    Without a member, a newcomer stands in: no tier, no segment, nothing used.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "sale": {
                    "external_id": "try-1",
                    "occurred_at": "2026-11-23T10:15:00+01:00",
                    "currency": "EUR",
                    "lines": [{"sku": "bread", "quantity": 2, "unit_price_minor": 320}],
                },
                "rule": {"external_id": "double", "multiplier": {"percent": 200}},
            }
        }
    )

    sale: SaleCreate | None = None
    occasion: OccasionIn | None = None
    rule_id: ObjectId | None = Field(default=None, description="A stored version, perhaps a draft.")
    rule: RuleCreate | None = Field(default=None, description="A rule that is stored nowhere.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.sale is None) == (self.occasion is None):
            raise PydanticCustomError("one_of", "Either sale or occasion is expected")
        if self.rule_id is not None and self.rule is not None:
            raise PydanticCustomError("one_of", "rule_id and rule exclude each other")
        return self

    @property
    def member(self) -> MemberRef | None:
        said = self.sale or self.occasion
        return said.member if said else None

    def tried(self) -> Occasion:
        """The occasion as rules see it, with nobody in it yet."""
        if self.sale is not None:
            sale = self.sale
            return Occasion(
                "sale", sale.occurred_at, None, partner_id=sale.partner_id or "", location_id=sale.location_id,
                channel=sale.channel, lines=[line.draft(sale.currency) for line in sale.lines],
                shipping_minor=sale.shipping_minor,
            )  # fmt: skip
        if self.occasion is None:
            raise TypeError("the model lets nothing else pass")
        said = self.occasion
        return Occasion(
            said.trigger, said.occurred_at, None, partner_id=said.partner_id, location_id=said.location_id,
            channel=said.channel, attributes=said.attributes, rule_external_id=said.rule_external_id,
        )  # fmt: skip


class FiredOut(Resource):
    """A rule that would give; `computed_tokens` is what it would without its limits."""

    rule: str
    external_id: str
    tokens: int
    computed_tokens: int
    line_tokens: list[int]
    activates_at: datetime | None
    expires_at: datetime | None


class SkippedOut(Resource):
    """A rule that would give nothing, and why."""

    rule: str
    external_id: str
    code: str
    detail: str


class SimulationOut(Resource):
    """What would be credited, and by which rules. Nothing was written."""

    tokens: int
    eligible_minor: int
    fired: list[FiredOut]
    skipped: list[SkippedOut]


def show_simulation(done: Simulated) -> SimulationOut:
    outcome = done.outcome
    return SimulationOut(
        tokens=outcome.tokens,
        eligible_minor=outcome.eligible_minor,
        fired=_show_fired(outcome.fired, done.credits),
        skipped=[_show_skipped(skipped) for skipped in outcome.skipped],
    )


def _show_fired(fired: Sequence[Fired], credits_: Sequence[Credit]) -> list[FiredOut]:
    return [
        FiredOut(
            rule=one.rule.reference,
            external_id=one.rule.external_id,
            tokens=one.tokens,
            computed_tokens=one.computed_tokens,
            line_tokens=list(one.line_tokens),
            activates_at=credit.activates_at,
            expires_at=credit.expires_at,
        )
        for one, credit in zip(fired, credits_, strict=True)
    ]


def _show_skipped(one: Skipped) -> SkippedOut:
    return SkippedOut(rule=one.rule.reference, external_id=one.rule.external_id, code=one.code.value, detail=one.detail)
