"""What a set of tiers says, which instants its window spans, and when a member moves. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from mereau.core.errors import FieldError
from mereau.programs.calendar.domain import add_months, day_of, end_of, period_start, same_time_on

TIERS_MAX: Final = 20
NO_TIER: Final = 0
"""The rank of who holds no tier; those of tiers count from 1."""

Direction = Literal["joined", "up", "down", "kept"]


class Basis(StrEnum):
    """What counts towards a tier.

    Tokens earned (what was taken back counts no longer, what was spent still does), money spent on goods that
    were kept, visits (days on which something was bought and kept), or the balance, which redeeming lowers.
    """

    TOKENS_EARNED = "tokens_earned"
    SPEND = "spend"
    VISITS = "visits"
    BALANCE = "balance"


class Window(StrEnum):
    """Since when it counts."""

    ROLLING = "rolling"
    CALENDAR_YEAR = "calendar_year"
    SINCE_JOINING = "since_joining"
    SINCE_CHANGE = "since_change"


class Downgrade(StrEnum):
    """How far somebody falls who is below what the tier demands when the grace is over."""

    NEVER = "never"
    ONE_STEP = "one_step"
    BY_VALUE = "by_value"


@dataclass(frozen=True, slots=True)
class Qualification:
    """One for all tiers of the set. `window_months` goes with `rolling` alone."""

    basis: Basis = Basis.TOKENS_EARNED
    window: Window = Window.ROLLING
    window_months: int | None = 12
    grace_days: int = 0
    downgrade: Downgrade = Downgrade.BY_VALUE


@dataclass(frozen=True, slots=True)
class TierSpec:
    """One tier. `threshold` is in tokens, minor units of money or days, as the basis says.

    `multiplier_percent` is for earning rules (100: none); `entitlements` are flags that others read.
    """

    external_id: str
    name_fr: str
    name_en: str
    threshold: int
    description_fr: str | None = None
    description_en: str | None = None
    picture_url: str | None = None
    multiplier_percent: int = 100
    entitlements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ladder:
    """A whole set, the lowest tier first: its rank is 1."""

    qualification: Qualification
    tiers: tuple[TierSpec, ...]

    def to_dict(self) -> dict[str, object]:
        """The stored form: `ladder_of` reads it back to an equal set."""
        return asdict(self)

    def threshold(self, rank: int) -> int:
        """What the tier of this rank demands; 0 for no tier."""
        return self.tiers[rank - 1].threshold if rank else 0

    def rank_of(self, figure: int) -> int:
        """The highest rank whose threshold the figure reaches."""
        return sum(tier.threshold <= figure for tier in self.tiers)


def ladder_of(document: Mapping[str, Any]) -> Ladder:
    """The set that `Ladder.to_dict` wrote."""
    said = document["qualification"]
    qualification = Qualification(
        Basis(said["basis"]),
        Window(said["window"]),
        said["window_months"],
        said["grace_days"],
        Downgrade(said["downgrade"]),
    )
    tiers = (TierSpec(**tier | {"entitlements": tuple(tier["entitlements"])}) for tier in document["tiers"])
    return Ladder(qualification, tuple(tiers))


def findings(ladder: Ladder) -> Iterator[FieldError]:
    """What is wrong with a set, field by field."""
    rule = ladder.qualification
    if (rule.window is Window.ROLLING and rule.basis is not Basis.BALANCE) != (rule.window_months is not None):
        yield FieldError("/qualification/window_months", "window_months", "Goes with a rolling window, and only there.")
    if not 0 < len(ladder.tiers) <= TIERS_MAX:
        yield FieldError("/tiers", "length", f"Must hold 1 to {TIERS_MAX} tiers.")
    seen: set[str] = set()
    for i, tier in enumerate(ladder.tiers):
        if tier.external_id in seen:
            yield FieldError(f"/tiers/{i}/external_id", "taken", "Each tier has its own.")
        seen.add(tier.external_id)
        if i and tier.threshold <= ladder.tiers[i - 1].threshold:
            yield FieldError(f"/tiers/{i}/threshold", "order", "Must be above that of the tier before.")


@dataclass(frozen=True, slots=True)
class Span:
    """When what counts has happened. `starts_at` None: since the beginning, or each member's last change."""

    starts_at: datetime | None
    ends_at: datetime | None


def span(rule: Qualification, now: datetime, tz: ZoneInfo) -> Span:
    """The window at an instant, in the programme's time zone; `ends_at` is when figures start from zero again."""
    if rule.window is Window.CALENDAR_YEAR:
        return Span(period_start(now, "year", tz), end_of(now, "year", tz))
    if rule.window is Window.ROLLING and rule.window_months is not None:
        return Span(same_time_on(now, add_months(day_of(now, tz), -rule.window_months), tz), None)
    return Span(None, None)


@dataclass(frozen=True, slots=True)
class Measure:
    """How members are measured at an instant: by which tiers, over which window, in which time zone."""

    ladder: Ladder
    window: Span
    zone: str


def measure(ladder: Ladder, now: datetime, tz: ZoneInfo) -> Measure:
    """The measure of a set at an instant."""
    return Measure(ladder, span(ladder.qualification, now, tz), tz.key)


@dataclass(frozen=True, slots=True)
class Held:
    """What a member holds before it is judged; see `tiers.models.TierStanding`."""

    rank: int = NO_TIER
    below_since: datetime | None = None
    assigned: bool = False
    assigned_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a member holds afterwards; `direction` None where nothing is to be told."""

    rank: int
    direction: Direction | None
    below_since: datetime | None


def judge(held: Held, earned: int, rule: Qualification, now: datetime) -> Verdict:
    """Whether a member who has earned the rank `earned` moves.

    Up at once. Down when the grace is over, to what was earned or by one step, and a further step after
    another grace (a day at least). `kept`: regained within the grace. A tier that was given by hand stays
    until its end, and what was earned follows without grace.
    """
    if held.assigned:
        ended = held.assigned_until is not None and held.assigned_until <= now
        rank = earned if ended else held.rank
        return Verdict(rank, _direction(held.rank, rank), None)
    if earned < held.rank:
        return _judge_below(held, earned, rule, now)
    if earned == held.rank:
        return Verdict(held.rank, "kept" if held.below_since else None, None)
    return Verdict(earned, _direction(held.rank, earned), None)


def _judge_below(held: Held, earned: int, rule: Qualification, now: datetime) -> Verdict:
    if rule.downgrade is Downgrade.NEVER:
        return Verdict(held.rank, None, None)
    if now < falls_at(rule, held.below_since, now):
        return Verdict(held.rank, None, held.below_since or now)
    if rule.downgrade is Downgrade.BY_VALUE:
        return Verdict(earned, "down", None)
    lower = held.rank - 1
    return Verdict(lower, "down", now if lower > earned else None)


def falls_at(rule: Qualification, below_since: datetime | None, now: datetime) -> datetime:
    """When the grace of somebody below since then is over; None: below from `now` on."""
    if below_since is None:
        return now + timedelta(days=rule.grace_days)
    return below_since + running_grace(rule)


def running_grace(rule: Qualification) -> timedelta:
    """How long somebody stays who is below already: where there is no grace, one step down lasts a day."""
    return timedelta(days=max(rule.grace_days, 1))


def direction_between(before: int, after: int) -> Direction:
    """From a tier to one of another set, by what they demand: a tier under a new name is kept."""
    if before == after:
        return "kept"
    return "up" if before < after else "down"


def _direction(before: int, after: int) -> Direction | None:
    if after == before:
        return None
    if after < before:
        return "down"
    return "up" if before else "joined"


@dataclass(frozen=True, slots=True)
class Target:
    """A tier to reach or to keep: what is missing, in the basis's unit, and until when it may be made up."""

    rank: int
    missing: int
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a member stands: the next tier (None on the highest) and the one held (None without one)."""

    figure: int
    to_next: Target | None
    to_keep: Target | None


def progress(by: Measure, held: Held, figure: int, now: datetime) -> Progress:
    """What a member lacks. Who is below what the held tier demands has until the end of the grace."""
    ladder, window = by.ladder, by.window
    next_rank = held.rank + 1
    to_next = to_keep = None
    if next_rank <= len(ladder.tiers):
        to_next = Target(next_rank, max(0, ladder.threshold(next_rank) - figure), window.ends_at)
    if held.rank:
        missing = max(0, ladder.threshold(held.rank) - figure)
        to_keep = Target(held.rank, missing, _kept_until(ladder.qualification, held, missing, window, now))
    return Progress(figure, to_next, to_keep)


def _kept_until(rule: Qualification, held: Held, missing: int, window: Span, now: datetime) -> datetime | None:
    if held.assigned:
        return held.assigned_until
    if rule.downgrade is Downgrade.NEVER:
        return None
    return falls_at(rule, held.below_since, now) if missing else window.ends_at
