"""What it takes to enrol a member. Pure."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class MemberDraft:
    """A member to be enrolled; `external_id` is the caller's own number for them, unique in the programme.

    `phone` is in E.164 form; `device_digest` that of `identity.domain`.
    """

    external_id: str
    display_name: str | None = None
    email: str | None = None
    locale: str = "fr"
    enrolled_by_partner_id: str | None = None
    phone: str | None = None
    birth_date: date | None = None
    device_digest: bytes | None = None
