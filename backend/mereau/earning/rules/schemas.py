"""Earning rules on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from mereau.core.schemas import ExternalId, Resource
from mereau.earning.domain import RuleSpec
from mereau.earning.models import EarningRule

RuleStatus = Literal["draft", "active", "inactive"]


class RuleCreate(RuleSpec):
    """A new version of a rule, as a draft. Activating it freezes it.

    Exactly one award is expected: `rate`, `fixed`, `every_nth`, `multiplier` or `amount`.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"external_id": "base", "rate": {"tokens": 1, "per_minor": 100}}}
    )

    external_id: ExternalId


class RuleOut(Resource):
    """One version of an earning rule."""

    id: str
    external_id: str
    version: int
    status: RuleStatus
    trigger: str = Field(description="What makes it fire.")
    spec: dict[str, object]
    spec_digest: str
    created_at: datetime


def rule_spec(body: RuleCreate) -> dict[str, object]:
    """The stored form of a rule."""
    spec = body.to_dict()
    del spec["external_id"]
    return spec


def show_rule(rule: EarningRule) -> RuleOut:
    return RuleOut(
        id=rule.id,
        external_id=rule.external_id,
        version=rule.version,
        status=rule.status,
        trigger=rule.trigger,
        spec=rule.spec,
        spec_digest=rule.spec_digest.hex(),
        created_at=rule.created_at,
    )
