"""What happens to members once, or once in a period, and how it is told apart. Pure.

Each milestone has a source id that names it among those of its member, such as the year of a birthday: what is paid
once is paid once however often it is seen.
"""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

BELATED_DAYS: Final = 3
"""So many days are looked at again: where the jobs stood still for a weekend, nobody loses a birthday."""
_FEBRUARY: Final = 2
_LEAP_DAY: Final = 29
_MONTHS: Final = 12

DAILY: Final = ("birthday", "tenure", "win_back")
"""Triggers that the calendar pulls; the others follow events."""
FOLLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "member.enrolled": ("sign_up", "profile_completed"),
    "member.changed": ("profile_completed",),
    "consent.given": ("newsletter_opt_in",),
    "sale.recorded": ("first_purchase",),
    "sale.claimed": ("first_purchase",),
    "tier.changed": ("tier_reached",),
    "object.activated": ("object_activated",),
    "object.taken_back": ("object_taken_back",),
    "survey.answered": ("survey_answered",),
}
"""Event -> the triggers that it may pull."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """Something that a member passed; `source_id` tells it from the member's others of its trigger."""

    member_id: str
    source_id: str
    occurred_at: datetime
    partner_id: str | None = None
    location_id: str | None = None
    channel: str | None = None
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)


def milestone_of(
    trigger: str, subject_id: str, payload: Mapping[str, object], occurred_at: datetime
) -> Milestone | None:
    """The milestone that an event tells of by itself; None where it tells of none.

    `profile_completed` and `first_purchase` are seen by a look at the books, not at the event.
    """
    if trigger == "sign_up":
        return Milestone(subject_id, subject_id, occurred_at)
    if trigger == "newsletter_opt_in":
        return Milestone(subject_id, subject_id, occurred_at) if payload.get("kind") == "newsletter" else None
    member_id = payload.get("member_id")
    if not isinstance(member_id, str):
        return None
    if trigger == "tier_reached":
        tier = payload.get("to")
        if not isinstance(tier, str) or payload.get("direction") not in {"joined", "up"}:
            return None
        # Once per tier: who falls and climbs again has not reached anything new.
        return Milestone(member_id, f"tier_{tier}", occurred_at, attributes={"tier": tier})
    return Milestone(member_id, subject_id, occurred_at, attributes=_plain(payload))


def _plain(payload: Mapping[str, object]) -> dict[str, str | int | bool]:
    """What rules can match of an event: its texts, integers and booleans."""
    return {name: value for name, value in payload.items() if isinstance(value, str | int | bool)}


def recent_days(now: datetime, zone: ZoneInfo) -> list[date]:
    """The programme's present day and those before it that are looked at again, the oldest first."""
    today = now.astimezone(zone).date()
    return [today - timedelta(days=back) for back in range(BELATED_DAYS, -1, -1)]


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a day of the programme begins."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def celebrated_on(day: date) -> list[tuple[int, int]]:
    """(month, day) of the birth dates that are celebrated on a day; 29 February on the 28th of common years."""
    dates = [(day.month, day.day)]
    if dates == [(_FEBRUARY, _LEAP_DAY - 1)] and not calendar.isleap(day.year):
        dates.append((_FEBRUARY, _LEAP_DAY))
    return dates


def joining_days(day: date) -> list[int]:
    """Days of the month on which members joined whose month is complete on `day`: on its last, all days after too."""
    last = calendar.monthrange(day.year, day.month)[1]
    return list(range(day.day, 32)) if day.day == last else [day.day]


def months_between(joined: date, day: date) -> int:
    """Calendar months from one day's month to another's."""
    return (day.year - joined.year) * _MONTHS + day.month - joined.month
