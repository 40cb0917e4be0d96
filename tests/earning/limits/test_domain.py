"""Where awards are counted: the keys of counters, the beginnings of their periods, and sums. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.rules import fixed
from mereau.earning.domain import Limit, Period, RuleSpec, parse_spec
from mereau.earning.limits.domain import (
    EVER,
    NOTHING,
    Count,
    CounterKey,
    key_of,
    keys_of,
    limits_of,
    nth_key,
    starts_at,
)
from mereau.earning.limits.service import keys_for

PARIS = ZoneInfo("Europe/Paris")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
NOON = datetime(2026, 5, 20, 10, tzinfo=UTC)
PERIODS: tuple[Period, ...] = ("day", "week", "month", "quarter", "half_year", "year", "ever")
ZONES = st.sampled_from(["UTC", "Europe/Paris", "Asia/Kathmandu", "America/New_York", "Pacific/Apia"]).map(ZoneInfo)
INSTANTS = st.datetimes(datetime(2000, 1, 2), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds
COUNTS = st.builds(Count, *[st.integers(-1_000, 1_000)] * 3)


def a_spec(*limits: dict[str, Any], award: dict[str, Any] | None = None, **fields: Any) -> RuleSpec:
    return parse_spec((award or fixed(5)) | {"limits": list(limits)} | fields)


def local(year: int, month: int, day: int, zone: ZoneInfo = PARIS) -> datetime:
    """Midnight of the zone, as an instant."""
    return datetime(year, month, day, tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("period", "start"),
    [
        ("day", (2026, 5, 20)), ("week", (2026, 5, 18)), ("month", (2026, 5, 1)), ("quarter", (2026, 4, 1)),
        ("half_year", (2026, 1, 1)), ("year", (2026, 1, 1)),
    ],
)  # fmt: skip
def test_a_period_begins_at_the_zones_midnight(period: Period, start: tuple[int, int, int]) -> None:
    for zone in (PARIS, KATHMANDU):
        assert starts_at(NOON, period, zone) == local(*start, zone)


@pytest.mark.parametrize(
    ("period", "boundary"),
    [
        ("day", (2026, 5, 20)), ("week", (2026, 5, 18)), ("month", (2026, 3, 1)), ("quarter", (2026, 10, 1)),
        ("half_year", (2026, 7, 1)), ("year", (2027, 1, 1)),
    ],
)  # fmt: skip
def test_the_last_instant_belongs_to_the_period_that_ends(period: Period, boundary: tuple[int, int, int]) -> None:
    begins = local(*boundary)
    before = starts_at(begins - timedelta(microseconds=1), period, PARIS)
    assert before < starts_at(begins, period, PARIS) == begins


@pytest.mark.parametrize("night", [(2026, 3, 29), (2026, 10, 25)])
def test_a_day_of_23_or_25_hours_is_one_day(night: tuple[int, int, int]) -> None:
    """Summer time begins or ends at night; the limit of the day does not."""
    begins, ends = local(*night), local(*night) + timedelta(days=1, hours=1 if night[1] == 10 else -1)
    assert starts_at(begins + timedelta(hours=4), "day", PARIS) == begins
    assert starts_at(ends - timedelta(seconds=1), "day", PARIS) == begins
    assert starts_at(ends, "day", PARIS) == ends


@given(INSTANTS, st.sampled_from(PERIODS), ZONES)
def test_the_beginning_of_a_period_is_its_own_beginning(at: datetime, period: Period, zone: ZoneInfo) -> None:
    begins = starts_at(at, period, zone)
    assert begins <= at
    assert begins == EVER or starts_at(begins, period, zone) == begins


@given(INSTANTS, st.timedeltas(timedelta(), timedelta(days=800)), st.sampled_from(PERIODS), ZONES)
def test_time_never_goes_back_to_an_old_period(at: datetime, later: timedelta, period: Period, zone: ZoneInfo) -> None:
    assert starts_at(at, period, zone) <= starts_at(at + later, period, zone)


@given(INSTANTS, ZONES)
def test_longer_periods_hold_shorter_ones(at: datetime, zone: ZoneInfo) -> None:
    begun = [starts_at(at, period, zone) for period in ("year", "half_year", "quarter", "month", "day")]
    assert begun == sorted(begun)
    assert at - starts_at(at, "week", zone) < timedelta(days=7, hours=25)


@given(COUNTS, COUNTS, COUNTS)
def test_counts_add_up_in_any_order(one: Count, two: Count, three: Count) -> None:
    assert (one + two) + three == one + (two + three)
    assert one + two == two + one
    assert one + NOTHING == one


@pytest.mark.parametrize(
    ("per", "rule", "member"), [("member", "promo", "mem_1"), ("rule", "promo", ""), ("programme", "", "")]
)
def test_a_limit_is_counted_per_whom_it_says(per: Any, rule: str, member: str) -> None:
    limit = Limit(per=per, period="month", uses=1)
    assert key_of("promo", limit, "mem_1", NOON, PARIS) == CounterKey(rule, member, "month", local(2026, 5, 1))


def test_rules_share_the_counter_of_the_programme_and_no_other() -> None:
    def keys(per: Any, period: Period = "day") -> set[CounterKey]:
        limit = Limit(per=per, period=period, uses=1)
        return {key_of(rule, limit, "mem_1", NOON, PARIS) for rule in ("a", "b")}

    assert [len(keys(per)) for per in ("member", "rule", "programme")] == [2, 2, 1]
    assert keys("programme", "week").isdisjoint(keys("programme", "day"))


@pytest.mark.parametrize(
    ("fields", "implied"),
    [
        ({}, []),
        ({"award": fixed(5, "item")}, []),
        ({"award": fixed(5, "visit")}, [("member", "day", 1)]),
        ({"first_only": True}, [("member", "ever", 1)]),
        ({"award": fixed(5, "visit"), "first_only": True}, [("member", "day", 1), ("member", "ever", 1)]),
    ],
    ids=str,
)
def test_an_award_may_imply_limits(fields: dict[str, Any], implied: list[tuple[str, str, int]]) -> None:
    said = {"per": "rule", "period": "year", "uses": 9}
    found = [(limit.per, limit.period, limit.uses) for limit in limits_of(a_spec(said, **fields))]
    assert found == [("rule", "year", 9), *implied]


def test_every_nth_is_counted_beside_the_limits() -> None:
    spec = a_spec(
        {"per": "member", "period": "month", "uses": 2}, award={"every_nth": {"n": 3, "tokens": 5, "period": "year"}}
    )
    found = list(keys_of("third", spec, "mem_1", NOON, PARIS))
    assert found == [
        CounterKey("third", "mem_1", "month", local(2026, 5, 1)),
        nth_key("third", "year", "mem_1", NOON, PARIS),
    ]
    assert found[1].starts_at == local(2026, 1, 1)


def test_two_limits_of_one_period_share_one_counter() -> None:
    spec = a_spec({"per": "member", "period": "day", "uses": 2}, {"per": "member", "period": "day", "tokens": 50})
    assert len(set(keys_of("promo", spec, "mem_1", NOON, PARIS))) == 1
    assert len(keys_for([("promo", spec)], [("mem_1", NOON)], PARIS)) == 1


def test_a_rule_without_limits_locks_nothing() -> None:
    assert keys_for([("base", a_spec())], [("mem_1", NOON)], PARIS) == []
    assert keys_for([], [("mem_1", NOON)], PARIS) == []


@pytest.mark.parametrize(
    ("window", "count"),
    [
        ({}, 1),
        ({"starts_at": NOON.isoformat()}, 1),
        ({"starts_at": (NOON + timedelta(microseconds=1)).isoformat()}, 0),
        ({"ends_at": NOON.isoformat()}, 0),
        ({"ends_at": (NOON + timedelta(microseconds=1)).isoformat()}, 1),
        ({"weekdays": ["sun"]}, 1),
    ],
    ids=str,
)
def test_only_rules_that_may_fire_then_make_anybody_wait(window: dict[str, Any], count: int) -> None:
    spec = a_spec({"per": "rule", "period": "ever", "tokens": 9}, window=window)
    assert len(keys_for([("promo", spec)], [("mem_1", NOON)], PARIS)) == count


MOMENTS = st.lists(st.tuples(st.sampled_from(["mem_1", "mem_2", "mem_3"]), INSTANTS), max_size=8)


@given(MOMENTS, st.randoms(use_true_random=False), ZONES)
def test_keys_are_locked_in_one_order_whoever_asks(moments: Any, chance: Any, zone: ZoneInfo) -> None:
    """Or two batches with the same members in another order would wait for each other."""
    scopes = ((per, period) for per in ("member", "programme") for period in ("day", "ever"))
    limits = [{"per": per, "period": period, "uses": 1} for per, period in scopes]
    rules = [(name, a_spec(*limits)) for name in ("a", "b")]
    keys = keys_for(rules, moments, zone)
    chance.shuffle(moments)
    assert keys_for(list(reversed(rules)), moments * 2, zone) == keys == sorted(set(keys))
