"""Windows, decisions, progress: tables of cases."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.tiers import a_ladder
from mereau.tiers.domain import (
    Basis,
    Downgrade,
    Held,
    Ladder,
    Qualification,
    TierSpec,
    Verdict,
    Window,
    findings,
    judge,
    ladder_of,
    measure,
    progress,
    span,
)

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 3, 31, 21, 30, tzinfo=UTC)
BY_VALUE = Qualification(grace_days=10)
ONE_STEP = Qualification(grace_days=10, downgrade=Downgrade.ONE_STEP)
NEVER = Qualification(grace_days=10, downgrade=Downgrade.NEVER)
AT_ONCE = Qualification()
STEP_AT_ONCE = Qualification(downgrade=Downgrade.ONE_STEP)
YESTERDAY, LONG_AGO = NOW - timedelta(days=1), NOW - timedelta(days=10)

CASES = [
    # held, earned, rule, rank, direction, below since
    (Held(), 0, BY_VALUE, 0, None, None),
    (Held(), 2, BY_VALUE, 2, "joined", None),
    (Held(1), 1, BY_VALUE, 1, None, None),
    (Held(1), 3, BY_VALUE, 3, "up", None),
    (Held(3), 1, BY_VALUE, 3, None, NOW),
    (Held(3, YESTERDAY), 1, BY_VALUE, 3, None, YESTERDAY),
    (Held(3, YESTERDAY), 3, BY_VALUE, 3, "kept", None),
    (Held(2, YESTERDAY), 3, BY_VALUE, 3, "up", None),
    (Held(3, LONG_AGO + timedelta(microseconds=1)), 1, BY_VALUE, 3, None, LONG_AGO + timedelta(microseconds=1)),
    (Held(3, LONG_AGO), 1, BY_VALUE, 1, "down", None),
    (Held(3, LONG_AGO), 0, BY_VALUE, 0, "down", None),
    (Held(3, LONG_AGO), 1, ONE_STEP, 2, "down", NOW),
    (Held(3, LONG_AGO), 2, ONE_STEP, 2, "down", None),
    (Held(3, LONG_AGO), 1, NEVER, 3, None, None),
    (Held(3), 1, AT_ONCE, 1, "down", None),
    (Held(3), 1, STEP_AT_ONCE, 2, "down", NOW),
    (Held(2, NOW), 1, STEP_AT_ONCE, 2, None, NOW),
    (Held(2, YESTERDAY), 1, STEP_AT_ONCE, 1, "down", None),
    (Held(3, assigned=True), 1, AT_ONCE, 3, None, None),
    (Held(1, assigned=True), 3, AT_ONCE, 1, None, None),
    (Held(3, assigned=True, assigned_until=NOW + timedelta(microseconds=1)), 1, AT_ONCE, 3, None, None),
    (Held(3, assigned=True, assigned_until=NOW), 1, BY_VALUE, 1, "down", None),
    (Held(1, assigned=True, assigned_until=NOW), 2, BY_VALUE, 2, "up", None),
    (Held(2, assigned=True, assigned_until=NOW), 2, BY_VALUE, 2, None, None),
    (Held(2, assigned=True, assigned_until=NOW), 0, NEVER, 0, "down", None),
]


@pytest.mark.parametrize(("held", "earned", "rule", "rank", "direction", "below_since"), CASES)
def test_who_moves(
    held: Held, earned: int, rule: Qualification, rank: int, direction: str | None, below_since: datetime | None
) -> None:
    assert judge(held, earned, rule, NOW) == Verdict(rank, direction, below_since)  # type: ignore[arg-type] # a word


@given(
    rank=st.integers(0, 4),
    earned=st.integers(0, 4),
    days_below=st.none() | st.integers(0, 30),
    rule=st.builds(
        Qualification, grace_days=st.integers(0, 20), downgrade=st.sampled_from(Downgrade), basis=st.just(Basis.SPEND)
    ),
)
def test_judging_twice_at_one_instant_changes_nothing_more(
    rank: int, earned: int, days_below: int | None, rule: Qualification
) -> None:
    below_since = None if days_below is None else NOW - timedelta(days=days_below)
    once = judge(Held(rank, below_since), earned, rule, NOW)
    again = judge(Held(once.rank, once.below_since), earned, rule, NOW)
    assert (again.rank, again.direction, again.below_since) == (once.rank, None, once.below_since)
    assert min(rank, earned) <= once.rank <= max(rank, earned)


@pytest.mark.parametrize(
    ("rule", "starts_at", "ends_at"),
    [
        (Qualification(window_months=1), "2026-02-28T23:30:00+01:00", None),
        (Qualification(window_months=12), "2025-03-31T23:30:00+02:00", None),
        (Qualification(window_months=13), "2025-02-28T23:30:00+01:00", None),
        (Qualification(window=Window.CALENDAR_YEAR), "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        (Qualification(window=Window.SINCE_JOINING), None, None),
        (Qualification(window=Window.SINCE_CHANGE), None, None),
        (Qualification(Basis.BALANCE, window_months=None), None, None),
    ],
)
def test_windows_follow_the_programmes_calendar(
    rule: Qualification, starts_at: str | None, ends_at: str | None
) -> None:
    def read(text: str | None) -> datetime | None:
        return None if text is None else datetime.fromisoformat(text)

    found = span(rule, NOW, PARIS)
    assert (found.starts_at, found.ends_at) == (read(starts_at), read(ends_at))


def test_a_year_begins_at_midnight_of_the_programme() -> None:
    new_year = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    found = span(Qualification(window=Window.CALENDAR_YEAR), new_year, PARIS)
    assert found.starts_at == datetime(2027, 1, 1, tzinfo=PARIS)


def test_a_set_is_read_back_as_it_was_stored() -> None:
    tier = TierSpec("gold", "Or", "Gold", 10, "Le mieux", None, "https://x.example/g.png", 150, ("free_returns",))
    ladder = Ladder(Qualification(Basis.VISITS, Window.CALENDAR_YEAR, None, 3, Downgrade.ONE_STEP), (tier,))
    assert ladder_of(ladder.to_dict()) == ladder


@pytest.mark.parametrize(
    ("ladder", "pointers"),
    [
        (a_ladder(0, 10, 20), []),
        (a_ladder(0, 10, window="rolling", window_months=6), []),
        (a_ladder(0, 10, basis="balance"), []),
        (a_ladder(0, 10, window="rolling"), ["/qualification/window_months"]),
        (a_ladder(0, 10, window_months=6), ["/qualification/window_months"]),
        (a_ladder(0, 10, basis="balance", window="rolling", window_months=6), ["/qualification/window_months"]),
        (a_ladder(), ["/tiers"]),
        (a_ladder(0, 0, 10), ["/tiers/1/threshold"]),
        (a_ladder(5, 3, 1), ["/tiers/1/threshold", "/tiers/2/threshold"]),
        (Ladder(a_ladder().qualification, (TierSpec("a", "A", "A", 1), TierSpec("a", "A", "A", 2))),
         ["/tiers/1/external_id"]),
        (Ladder(a_ladder().qualification, tuple(TierSpec(f"t{i}", "T", "T", i) for i in range(21))), ["/tiers"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(ladder: Ladder, pointers: list[str]) -> None:
    assert [found.pointer for found in findings(ladder)] == pointers


@given(figure=st.integers(-5, 50), held=st.integers(0, 3))
def test_a_rank_is_the_last_threshold_reached(figure: int, held: int) -> None:
    ladder = a_ladder(0, 10, 30)
    rank = ladder.rank_of(figure)
    assert ladder.threshold(rank) <= max(figure, 0)
    assert rank == len(ladder.tiers) or figure < ladder.threshold(rank + 1)


PROGRESS = [
    # held, figure, (next rank, missing, until), (rank to keep, missing, until)
    (Held(), 3, (1, 7, None), None),
    (Held(1), 12, (2, 18, None), (1, 0, None)),
    (Held(2), 40, None, (2, 0, None)),
    (Held(2), 12, None, (2, 18, NOW + timedelta(days=10))),
    (Held(2, YESTERDAY), 12, None, (2, 18, YESTERDAY + timedelta(days=10))),
    (Held(2, assigned=True, assigned_until=NOW), 12, None, (2, 18, NOW)),
    (Held(2, assigned=True), 12, None, (2, 18, None)),
]


@pytest.mark.parametrize(("held", "figure", "to_next", "to_keep"), PROGRESS)
def test_what_is_missing(
    held: Held,
    figure: int,
    to_next: tuple[int, int, datetime | None] | None,
    to_keep: tuple[int, int, datetime | None] | None,
) -> None:
    found = progress(measure(a_ladder(10, 30, grace_days=10), NOW, PARIS), held, figure, NOW)
    for target, wanted in ((found.to_next, to_next), (found.to_keep, to_keep)):
        assert (None if target is None else (target.rank, target.missing, target.until)) == wanted
    assert found.figure == figure


def test_a_year_says_when_it_ends_and_nothing_falls_where_nothing_can() -> None:
    year = measure(a_ladder(10, 30, window="calendar_year"), NOW, PARIS)
    end = datetime(2027, 1, 1, tzinfo=PARIS)
    found = progress(year, Held(1), 12, NOW)
    assert found.to_next is not None
    assert found.to_keep is not None
    assert (found.to_next.until, found.to_keep.until) == (end, end)
    safe = progress(measure(a_ladder(10, 30, downgrade="never"), NOW, PARIS), Held(2), 12, NOW)
    assert safe.to_keep is not None
    assert (safe.to_keep.missing, safe.to_keep.until) == (18, None)
