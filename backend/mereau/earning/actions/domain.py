"""Actions and the schemas of custom events: what may be said, and what makes two alike. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import orjson

from mereau.core.errors import FieldError

BUILT_IN: Final = frozenset({"review_approved", "survey_answered", "contest_entered", "social_action"})
"""Actions that every programme knows, each a trigger of its own; every other name is a custom event."""
CUSTOM_EVENT: Final = "custom_event"
RESERVED: Final = BUILT_IN | {
    CUSTOM_EVENT, "sale", "sign_up", "first_purchase", "newsletter_opt_in", "profile_completed", "referral_referrer",
    "referral_referred", "birthday", "tenure", "win_back", "code", "tier_reached", "object_activated",
    "object_taken_back",
}  # fmt: skip
"""Names that no custom event may bear: what the programme sees itself is not claimed by anybody."""
AGE_MAX: Final = timedelta(days=31)
CLOCK_SKEW_MAX: Final = timedelta(minutes=10)
FieldType = Literal["text", "integer", "boolean"]


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a custom event. `maximum` bounds an integer, or the characters of a text; `options` a text."""

    name: str
    type: FieldType
    required: bool = False
    options: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    def to_dict(self) -> dict[str, object]:
        """The stored form: `read_field` reads it back to an equal field."""
        return {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "options": list(self.options),
            "minimum": self.minimum,
            "maximum": self.maximum,
        }


def read_field(stored: Mapping[str, object]) -> FieldSpec:
    """A field from its stored form."""
    options = stored["options"]
    return FieldSpec(**{**stored, "options": tuple(options if isinstance(options, Sequence) else ())})  # type: ignore[arg-type] # as `to_dict` wrote it


def attribute_findings(fields: Sequence[FieldSpec], attributes: Mapping[str, object]) -> list[FieldError]:
    """What is wrong with an event's attributes, each by its pointer; nothing that the schema does not name passes."""
    known = {field.name: field for field in fields}
    findings = [
        FieldError(f"/attributes/{name}", "unknown", "The event has no such field.")
        for name in sorted(attributes.keys() - known.keys())
    ]
    for name, field in known.items():
        if name in attributes:
            detail = _objection(field, attributes[name])
        else:
            detail = "Is required." if field.required else None
        if detail is not None:
            findings.append(FieldError(f"/attributes/{name}", "invalid", detail))
    return findings


def _objection(field: FieldSpec, value: object) -> str | None:
    if field.type == "boolean":
        return None if isinstance(value, bool) else "Must be true or false."
    if field.type == "integer":
        if isinstance(value, bool) or not isinstance(value, int):
            return "Must be an integer."
        return _out_of_range(value, field)
    if not isinstance(value, str):
        return "Must be a text."
    if field.options and value not in field.options:
        return f"Must be one of {', '.join(field.options)}."
    return _out_of_range(len(value), field)


def _out_of_range(figure: int, field: FieldSpec) -> str | None:
    what = "characters" if field.type == "text" else "the value"
    if field.minimum is not None and figure < field.minimum:
        return f"Too small: {what} must be at least {field.minimum}."
    if field.maximum is not None and figure > field.maximum:
        return f"Too large: {what} must be at most {field.maximum}."
    return None


@dataclass(frozen=True, slots=True)
class ActionDraft:
    """What somebody did, as `source` tells it; `partner_id` is whose tokens it earns, None for the rule's issuer."""

    member_id: str
    source: str
    partner_id: str | None
    type: str
    external_id: str
    occurred_at: datetime
    attributes: Mapping[str, str | int | bool]

    @property
    def trigger(self) -> str:
        return self.type if self.type in BUILT_IN else CUSTOM_EVENT


def time_finding(occurred_at: datetime, now: datetime) -> FieldError | None:
    """Why an action cannot have happened then: limits of a period hold only if nobody reaches into old ones."""
    if occurred_at > now + CLOCK_SKEW_MAX:
        return FieldError("/occurred_at", "future", "Must not lie in the future.")
    if occurred_at < now - AGE_MAX:
        return FieldError("/occurred_at", "too_old", f"Must not lie more than {AGE_MAX.days} days back.")
    return None


def inputs_digest(draft: ActionDraft) -> bytes:
    """SHA-256 of what the action says (canonical form, version 1), whoever handed it in."""
    content = [
        draft.member_id,
        draft.type,
        draft.partner_id,
        draft.occurred_at.astimezone(UTC).isoformat(),
        draft.attributes,
    ]
    return hashlib.sha256(b"mereau action v1\n" + orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()
