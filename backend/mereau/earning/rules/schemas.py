"""Earning rules on the wire."""

from datetime import datetime
from typing import Final, Literal

from pydantic import ConfigDict, Field

from mereau.core.schemas import AMOUNT_MINOR_MAX, AmountMinor, ExternalId, Label, Request, Resource
from mereau.earning.models import EarningRule

_RATE_TOKENS_MAX: Final = 10_000
_EXCLUSIONS_MAX: Final = 1_000


class Rate(Request):
    """`tokens` for every `per_minor` of eligible amount."""

    tokens: int = Field(ge=1, le=_RATE_TOKENS_MAX)
    per_minor: int = Field(ge=1, le=AMOUNT_MINOR_MAX)


class RuleCreate(Request):
    """A new version of a rule, as a draft. Activating it freezes it."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"external_id": "base", "rate": {"tokens": 1, "per_minor": 100}}}
    )

    external_id: ExternalId
    rate: Rate
    basis: Literal["pre_discount", "post_discount"] = "post_discount"
    include_tax: bool = True
    include_shipping: bool = False
    excluded_skus: list[Label] = Field(default=[], max_length=_EXCLUSIONS_MAX)
    excluded_categories: list[Label] = Field(default=[], max_length=_EXCLUSIONS_MAX)
    minimum_minor: AmountMinor = 0


class RuleOut(Resource):
    """One version of an earning rule."""

    id: str
    external_id: str
    version: int
    status: Literal["draft", "active", "inactive"]
    spec: dict[str, object]
    spec_digest: str
    created_at: datetime


def rule_spec(body: RuleCreate) -> dict[str, object]:
    """The stored form of a rule."""
    return body.model_dump(exclude={"external_id"})


def show_rule(rule: EarningRule) -> RuleOut:
    return RuleOut(
        id=rule.id,
        external_id=rule.external_id,
        version=rule.version,
        status=rule.status,
        spec=rule.spec,
        spec_digest=rule.spec_digest.hex(),
        created_at=rule.created_at,
    )
