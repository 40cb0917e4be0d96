"""What a profile may say, when a birth date may change, and when a profile is complete. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

ChangeReason = Literal["typing_error", "document_seen", "member_request"]
"""Why an operator changes a birth date before its year is over; a code, so that the journal names nobody."""
BlockReason = Literal["fraud_suspected", "duplicate_account", "terms_breached", "member_request", "resolved"]

FIELDS: Final = ("display_name", "email", "phone", "birth_date")
"""What a programme may require of a complete profile, beside `attributes.<name>`."""
ATTRIBUTE_PREFIX: Final = "attributes."
BLANKS: Final = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
"""Every character that `str.strip` takes off; the database knows the plain space alone."""
BIRTH_DATE_LOCK: Final = timedelta(days=365)
"""How long a birth date that was set stays as it is for everybody but operators: one birthday a year."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What completeness looks at."""

    display_name: str | None
    email: str | None
    phone: str | None
    birth_date: date | None
    attributes: Mapping[str, object]

    def has(self, field: str) -> bool:
        """Whether a required field is filled; a blank text is not."""
        if field.startswith(ATTRIBUTE_PREFIX):
            value = self.attributes.get(field.removeprefix(ATTRIBUTE_PREFIX))
        else:
            value = getattr(self, field)
        return value is not None and (not isinstance(value, str) or bool(value.strip()))


def missing_fields(profile: Profile, required: Collection[str]) -> list[str]:
    """The required fields that are not filled, in their order."""
    return [field for field in sorted(required) if not profile.has(field)]


def birth_date_locked_until(
    before: date | None, after: date | None, set_at: datetime | None, now: datetime
) -> datetime | None:
    """Until when this change must wait; None where it may happen now.

    The first date ever set is free, and so is saying the same again. Taking a date away and setting another is a
    change like any other, or one could have a birthday every week.
    """
    if after == before or set_at is None:
        return None
    until = set_at + BIRTH_DATE_LOCK
    return until if now < until else None
