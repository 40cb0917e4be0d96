"""Where periods begin and end in a time zone, and months that are counted on. Pure.

Instants come with any offset and go out in UTC: two of one zone would be compared by their wall clocks.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

Period = Literal["day", "week", "month", "quarter", "half_year", "year"]

_MONTHS: Final = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}


def add_months(day: date, months: int) -> date:
    """The same day so many months on (or back), or the last of that month where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def first_day(day: date, period: Period) -> date:
    """The first day of the period that holds `day`; weeks begin on Monday."""
    if period == "day":
        return day
    if period == "week":
        return day - timedelta(days=day.weekday())
    months = _MONTHS[period]
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def next_first_day(day: date, period: Period) -> date:
    """The first day of the period after the one that holds `day`."""
    first = first_day(day, period)
    if period == "day":
        return first + timedelta(days=1)
    if period == "week":
        return first + timedelta(days=7)
    return add_months(first, _MONTHS[period])


def midnight(day: date, tz: ZoneInfo) -> datetime:
    """When a day begins: its first instant, where clocks skip or repeat midnight."""
    return datetime.combine(day, time(), tz).astimezone(UTC)


def day_of(instant: datetime, tz: ZoneInfo) -> date:
    """The day that the zone's calendar shows at an instant."""
    return instant.astimezone(tz).date()


def period_start(instant: datetime, period: Period, tz: ZoneInfo) -> datetime:
    """When the period that holds an instant began."""
    return midnight(first_day(day_of(instant, tz), period), tz)


def end_of(instant: datetime, period: Period, tz: ZoneInfo) -> datetime:
    """When the period that holds an instant is over, which is when the next one begins."""
    return midnight(next_first_day(day_of(instant, tz), period), tz)


def same_time_on(instant: datetime, day: date, tz: ZoneInfo) -> datetime:
    """Another day at the wall-clock time of an instant."""
    return datetime.combine(day, instant.astimezone(tz).time(), tz).astimezone(UTC)
