"""What a member is told to lack is what moves them, and when they are told to fall is when they do. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from factories.tiers import NAMES, a_ladder
from mereau.programs.calendar.domain import add_months
from mereau.tiers.domain import (
    Basis,
    Downgrade,
    Held,
    Ladder,
    Qualification,
    TierSpec,
    Window,
    direction_between,
    findings,
    judge,
    ladder_of,
    measure,
    progress,
    span,
)

PARIS, AUCKLAND, UTC_ZONE = ZoneInfo("Europe/Paris"), ZoneInfo("Pacific/Auckland"), ZoneInfo("UTC")
NOW = datetime(2026, 3, 31, 21, 30, tzinfo=UTC)
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
FALLING = st.sampled_from([Downgrade.BY_VALUE, Downgrade.ONE_STEP])
THRESHOLDS = st.lists(st.integers(0, 60), min_size=1, max_size=4, unique=True).map(sorted)
INSTANTS = st.integers(-3_000_000, 3_000_000).map(lambda minutes: NOW + timedelta(minutes=minutes))


@given(thresholds=THRESHOLDS, figure=st.integers(-5, 70), rank=st.integers(0, 4))
def test_what_is_missing_is_just_enough(thresholds: list[int], figure: int, rank: int) -> None:
    ladder = a_ladder(*thresholds)
    rank = min(rank, len(thresholds))
    found = progress(measure(ladder, NOW, PARIS), Held(rank), figure, NOW)
    for target in (found.to_next, found.to_keep):
        if target is not None:
            assert ladder.rank_of(figure + target.missing) >= target.rank
            assert target.missing == 0 or ladder.rank_of(figure + target.missing - 1) < target.rank
    assert (found.to_next is None) == (rank == len(thresholds))
    assert (found.to_keep is None) == (rank == 0)


@given(
    grace=st.integers(0, 30), downgrade=FALLING, rank=st.integers(1, 4), below=st.none() | st.integers(0, 20),
    figure=st.integers(0, 40),
)  # fmt: skip
def test_who_does_nothing_falls_when_it_was_said(
    grace: int, downgrade: Downgrade, rank: int, below: int | None, figure: int
) -> None:
    ladder = a_ladder(10, 20, 30, 40, grace_days=grace, downgrade=downgrade)
    rule = ladder.qualification
    earned = ladder.rank_of(figure)
    assume(earned < rank)
    held = Held(rank, None if below is None else NOW - below * DAY)
    told = progress(measure(ladder, NOW, PARIS), held, figure, NOW).to_keep
    assert told is not None
    assert told.until is not None
    first = judge(held, earned, rule, NOW)
    if told.until <= NOW:
        assert first.direction == "down"
        return
    assert (first.rank, first.direction) == (rank, None)
    waiting = Held(first.rank, first.below_since)
    assert judge(waiting, earned, rule, told.until - TICK).rank == rank
    fallen = judge(waiting, earned, rule, told.until)
    assert (fallen.direction, fallen.rank) == ("down", earned if downgrade is Downgrade.BY_VALUE else rank - 1)


@given(figures=st.lists(st.integers(0, 45), min_size=1, max_size=40), grace=st.integers(0, 6), downgrade=FALLING)
def test_however_a_member_lives_the_rules_hold(figures: list[int], grace: int, downgrade: Downgrade) -> None:
    """Judged every day: up at once, down only after a grace below, one step at a time where steps are said."""
    ladder = a_ladder(10, 20, 30, 40, grace_days=grace, downgrade=downgrade)
    held, days_below = Held(), 0
    for day, figure in enumerate(figures):
        now, earned = NOW + day * DAY, ladder.rank_of(figure)
        verdict = judge(held, earned, ladder.qualification, now)
        days_below = days_below + 1 if earned < held.rank else 0
        if earned >= held.rank:
            assert verdict.rank == earned
        elif verdict.direction == "down":
            assert days_below > grace
            assert verdict.rank == (earned if downgrade is Downgrade.BY_VALUE else held.rank - 1)
            days_below = 1 if verdict.below_since else 0
        else:
            assert verdict.rank == held.rank
            assert days_below <= max(grace, 1)
        assert (verdict.below_since is not None) == (earned < verdict.rank)
        assert (verdict.direction is None) == (verdict.rank == held.rank and not _recovered(held, earned))
        held = Held(verdict.rank, verdict.below_since)


def _recovered(held: Held, earned: int) -> bool:
    return held.below_since is not None and earned == held.rank


@given(figures=st.lists(st.integers(0, 45), max_size=30), grace=st.integers(0, 6))
def test_where_nothing_falls_the_best_day_counts(figures: list[int], grace: int) -> None:
    ladder = a_ladder(10, 20, 30, 40, grace_days=grace, downgrade="never")
    held = Held()
    for day, figure in enumerate(figures):
        verdict = judge(held, ladder.rank_of(figure), ladder.qualification, NOW + day * DAY)
        held = Held(verdict.rank, verdict.below_since)
    assert held == Held(max(map(ladder.rank_of, figures), default=0))


@given(
    rank=st.integers(0, 4), earned=st.integers(0, 4), hours=st.integers(-50, 50), rule=st.builds(
        Qualification, grace_days=st.integers(0, 20), downgrade=st.sampled_from(Downgrade)
    ),
)  # fmt: skip
def test_what_was_given_by_hand_ends_to_the_instant(rank: int, earned: int, hours: int, rule: Qualification) -> None:
    until = NOW + timedelta(hours=hours)
    verdict = judge(Held(rank, assigned=True, assigned_until=until), earned, rule, NOW)
    assert verdict.rank == (earned if hours <= 0 else rank)
    assert verdict.below_since is None
    assert (verdict.direction is None) == (verdict.rank == rank)
    assert judge(Held(rank, assigned=True), earned, rule, NOW).rank == rank


@given(at=INSTANTS, months=st.integers(1, 120), zone=st.sampled_from([PARIS, AUCKLAND, UTC_ZONE]))
def test_a_rolling_window_goes_back_by_whole_months(at: datetime, months: int, zone: ZoneInfo) -> None:
    starts_at = span(Qualification(window_months=months), at, zone).starts_at
    assert starts_at is not None
    assert starts_at.astimezone(zone).date() == add_months(at.astimezone(zone).date(), -months)
    assert 0 < (at - starts_at) / DAY <= 31 * months + 1


@given(at=INSTANTS, zone=st.sampled_from([PARIS, AUCKLAND, UTC_ZONE]))
def test_a_year_holds_its_instants_and_ends_where_the_next_begins(at: datetime, zone: ZoneInfo) -> None:
    rule = Qualification(window=Window.CALENDAR_YEAR, window_months=None)
    year = span(rule, at, zone)
    assert year.starts_at is not None
    assert year.ends_at is not None
    assert year.starts_at <= at < year.ends_at
    assert year.starts_at.astimezone(zone).timetuple()[:6] == (at.astimezone(zone).year, 1, 1, 0, 0, 0)
    assert span(rule, year.ends_at, zone).starts_at == year.ends_at
    assert span(rule, year.starts_at, zone) == year


TIERS = st.lists(
    st.builds(
        TierSpec,
        external_id=st.sampled_from(NAMES),
        name_fr=st.just("Or"),
        name_en=st.just("Gold"),
        threshold=st.integers(0, 30),
        description_fr=st.none() | st.just("Le plus haut."),
        picture_url=st.none() | st.just("https://cdn.example/or.png"),
        multiplier_percent=st.integers(0, 10_000),
        entitlements=st.lists(st.sampled_from(["free_returns", "early_access"]), unique=True).map(tuple),
    ),
    max_size=5,
).map(tuple)
RULES = st.builds(
    Qualification, st.sampled_from(Basis), st.sampled_from(Window), st.none() | st.integers(1, 120),
    st.integers(0, 99), st.sampled_from(Downgrade),
)  # fmt: skip


@given(rule=RULES, tiers=TIERS)
def test_a_set_is_valid_by_what_is_written_and_read_back_as_it_was(
    rule: Qualification, tiers: tuple[TierSpec, ...]
) -> None:
    ladder = Ladder(rule, tiers)
    assert ladder_of(ladder.to_dict()) == ladder
    thresholds, names = [tier.threshold for tier in tiers], [tier.external_id for tier in tiers]
    rises = thresholds == sorted(set(thresholds))
    rolls = rule.window is Window.ROLLING and rule.basis is not Basis.BALANCE
    sound = bool(tiers) and rises and len(names) == len(set(names)) and rolls == (rule.window_months is not None)
    assert (list(findings(ladder)) == []) == sound


@pytest.mark.parametrize(("before", "after", "word"), [(0, 10, "up"), (10, 9, "down"), (10, 10, "kept"), (9, 10, "up")])
def test_sets_are_compared_by_what_they_demand(before: int, after: int, word: str) -> None:
    assert direction_between(before, after) == word


@pytest.mark.parametrize(
    ("figure", "rank"), [(-1, 0), (0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (29, 2), (30, 3), (10**15, 3)]
)
def test_a_threshold_is_reached_exactly(figure: int, rank: int) -> None:
    assert a_ladder(10, 20, 30).rank_of(figure) == rank
