"""Codes of members, and what is no honest referral. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from mereau.core.codes import BITS_PER_CHAR

CODE_CHARS: Final = 10
CODE_BITS: Final = CODE_CHARS * BITS_PER_CHAR
"""50 bits: a code is no secret, but nobody meets another's by a typing error."""
ATTRIBUTED_WITHIN: Final = timedelta(days=7)
"""How long after joining a member may still say who brought them."""


@dataclass(frozen=True, slots=True)
class Person:
    """What tells whether two accounts are one person; `joined_on` is a day of the programme."""

    id: str
    email_key: str | None
    phone: str | None
    device_digest: bytes | None
    joined_on: date

    def is_same(self, other: "Person") -> bool:
        """Whether they share a mailbox, a telephone or a device."""
        pairs = (
            (self.email_key, other.email_key),
            (self.phone, other.phone),
            (self.device_digest, other.device_digest),
        )
        return self.id == other.id or any(mine is not None and mine == theirs for mine, theirs in pairs)


def refusal(friend: Person, line: Sequence[Person], *, has_other_account: bool) -> str | None:
    """Why a friend does not count for the first of `line`: the referrer, who brought them, who brought those.

    None for an honest referral. Accounts that bring each other in one day are one person's, whatever they say.
    """
    referrer, *above = line
    if friend.is_same(referrer):
        return "self_referral"
    if any(friend.id == other.id for other in above):
        return "ring"
    if has_other_account or any(friend.is_same(other) for other in above):
        return "duplicate_account"
    if above and friend.joined_on == referrer.joined_on == above[0].joined_on:
        return "same_day_chain"
    return None


def may_qualify(
    bought_at: datetime, amount_minor: int, attributed_at: datetime, expires_at: datetime, minimum_minor: int
) -> bool:
    """Whether a purchase of so much, then, makes a referral count; a purchase of nothing never does."""
    return attributed_at <= bought_at < expires_at and amount_minor >= max(minimum_minor, 1)
