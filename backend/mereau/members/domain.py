"""What it takes to enrol a member. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemberDraft:
    """A member to be enrolled; `external_id` is the caller's own number for them, unique in the programme."""

    external_id: str
    display_name: str | None = None
    email: str | None = None
    locale: str = "fr"
    enrolled_by_partner_id: str | None = None
