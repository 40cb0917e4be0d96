"""Rules ready to run: their order, what they ask for, the goods that they see and the hours that they keep."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.earning import a_line
from factories.rules import PARIS, RATE, a_rule, fixed
from mereau.earning.compiled.domain import RuleSet, compile_rule, goods_in, scope_of
from mereau.earning.domain import WEEKDAYS, parse_spec
from mereau.earning.expressions.domain import ExpressionError
from mereau.programs.calendar.domain import midnight
from mereau.sales.domain import SaleLineDraft

DOUBLE = {"multiplier": {"percent": 200}}
TIMES = st.integers(0, 24 * 60 - 1)
# Summer time begins in Paris on 29 March 2026 (23 hours) and ends on 25 October (25 hours).
COMMON, SHORT, LONG = date(2026, 3, 22), date(2026, 3, 29), date(2026, 10, 25)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def open_minutes(rule: Any, start: datetime, end: datetime, zone: ZoneInfo = PARIS) -> int:
    """For how many minutes between two instants a rule is open."""
    minutes = int((end - start).total_seconds()) // 60
    return sum(rule.is_open((start + timedelta(minutes=n)).astimezone(zone)) for n in range(minutes))


def hours(*pairs: tuple[str, str], **window: Any) -> Any:
    return a_rule(window={"hours": [{"starts": starts, "ends": ends} for starts, ends in pairs], **window})


class TestOrder:
    RULES = (
        a_rule("b"),
        a_rule("a"),
        a_rule("last", priority=-1),
        a_rule("z", DOUBLE, priority=9),
        a_rule("y", DOUBLE),
    )

    @pytest.mark.parametrize("seed", range(5))
    def test_the_highest_priority_comes_first_then_the_name(self, seed: int) -> None:
        rules = RuleSet(random.Random(seed).sample(self.RULES, len(self.RULES)))
        assert [rule.external_id for rule in rules.rules] == ["z", "a", "b", "y", "last"]
        assert [rule.external_id for rule in rules.base] == ["a", "b", "last"]
        assert [rule.external_id for rule in rules.multipliers] == ["z", "y"]

    def test_a_base_rule_tells_the_amount_whatever_the_multipliers_priority(self) -> None:
        assert RuleSet(self.RULES).lead.external_id == "a"
        assert RuleSet(self.RULES[3:]).lead.external_id == "z"

    def test_a_set_of_nothing_is_none(self) -> None:
        assert not RuleSet([])
        assert RuleSet(self.RULES[:1])


class TestAsking:
    @pytest.mark.parametrize(
        ("award", "fields", "asks"),
        [
            (RATE, {}, (False, False, 0)),
            (DOUBLE, {}, (False, False, 0)),
            ({"multiplier": {"by_tier": True}}, {}, (True, False, 0)),
            (RATE, {"audience": {"tiers": ["gold"]}}, (True, False, 0)),
            (RATE, {"audience": {"channels": ["web"]}}, (False, False, 0)),
            (RATE, {"condition": "member.tier == 'gold'"}, (True, False, 0)),
            (RATE, {"condition": "amount_minor > 1"}, (False, False, 0)),
            ({"amount": "member.tier_rank * 2"}, {}, (True, False, 0)),
            ({"amount": "items"}, {}, (False, False, 0)),
            (RATE, {"first_only": True}, (False, True, 1)),
            (RATE, {"limits": [{"per": "rule", "period": "day", "tokens": 5}]}, (False, False, 1)),
            (fixed(1, "visit"), {}, (False, False, 1)),
            ({"every_nth": {"n": 2, "tokens": 1}}, {}, (False, False, 1)),
        ],
        ids=str,
    )
    def test_what_no_rule_asks_for_is_not_loaded(
        self, award: dict[str, Any], fields: dict[str, Any], asks: tuple[bool, bool, int]
    ) -> None:
        rules = RuleSet([a_rule("plain"), a_rule("asking", award, **fields)])
        assert (rules.asks_tiers, rules.asks_firsts, len(rules.counted)) == asks

    def test_the_segments_of_all_rules_are_asked_for_together(self) -> None:
        rules = RuleSet([a_rule("a", segment_ids=["seg_1", "seg_2"]), a_rule("b", segment_ids=["seg_2"]), a_rule("c")])
        assert rules.segment_ids == {"seg_1", "seg_2"}

    def test_a_version_is_named_for_ever(self) -> None:
        rule = compile_rule(parse_spec(RATE), rule_id="rul_7", external_id="base", version=3)
        assert rule.reference == "rul_7@3"

    @pytest.mark.parametrize("field", ["condition", "amount"])
    def test_what_does_not_compile_is_no_rule(self, field: str) -> None:
        award = {"amount": "moon"} if field == "amount" else {**RATE, "condition": "moon"}
        with pytest.raises(ExpressionError, match="moon is no fact"):
            compile_rule(parse_spec(award))


LINES = st.lists(
    st.builds(
        SaleLineDraft,
        sku=st.sampled_from("ab"),
        category=st.sampled_from([None, "food"]),
        quantity=st.integers(1, 5),
        unit_price_micro=st.none(),
        amount_minor=st.integers(-100, 1_000),
        discount_minor=st.integers(0, 500),
        tax_minor=st.integers(0, 500),
        eligible=st.booleans(),
        brand=st.sampled_from([None, "Lune"]),
        labels=st.sampled_from([(), ("bio",), ("bio", "new")]),
    ),
    max_size=6,
)
LISTS = st.fixed_dictionaries(
    {},
    optional={
        f"{side}_{kind}": st.sets(st.sampled_from(names), max_size=2).map(sorted)
        for side in ("included", "excluded")
        for kind, names in (("skus", "ab"), ("categories", ["food"]), ("brands", ["Lune"]), ("labels", ["bio", "new"]))
    },
)


def is_named(line: SaleLineDraft, lists: dict[str, list[str]], side: str) -> bool:
    said = {"skus": {line.sku}, "categories": {line.category}, "brands": {line.brand}, "labels": set(line.labels)}
    return any(said[kind] & set(lists.get(f"{side}_{kind}", ())) for kind in said)


class TestGoods:
    @given(LINES, LISTS)
    def test_goods_are_in_scope_where_one_list_names_them_and_none_excludes_them(
        self, lines: list[SaleLineDraft], lists: dict[str, list[str]]
    ) -> None:
        narrowed = any(names for name, names in lists.items() if name.startswith("included"))
        goods = goods_in(scope_of(parse_spec({**RATE, **lists})), lines, 0)
        assert [units > 0 for units in goods.units] == [
            line.eligible
            and (not narrowed or is_named(line, lists, "included"))
            and not is_named(line, lists, "excluded")
            for line in lines
        ]

    @given(LINES, st.booleans(), st.booleans(), st.booleans(), st.integers(-50, 500))
    def test_amounts_are_of_the_basis_and_never_below_nothing(
        self, lines: list[SaleLineDraft], post: Any, tax: Any, shipping: Any, shipping_minor: int
    ) -> None:
        basis = "post_discount" if post else "pre_discount"
        spec = parse_spec({**RATE, "basis": basis, "include_tax": tax, "include_shipping": shipping})
        goods = goods_in(scope_of(spec), lines, shipping_minor)
        expected = [
            max(0, line.amount_minor - post * line.discount_minor - (not tax) * line.tax_minor) * line.eligible
            for line in lines
        ]
        assert list(goods.amounts_minor) == expected
        extra = max(0, shipping_minor) if shipping and sum(expected) else 0
        assert goods.eligible_minor == sum(expected) + extra
        assert goods.weights == (goods.amounts_minor if any(expected) else goods.units)

    def test_rules_that_look_at_the_same_goods_share_one_scope(self) -> None:
        one = scope_of(parse_spec({**RATE, "included_skus": ["a", "b"]}))
        assert scope_of(parse_spec({**fixed(3), "included_skus": ["b", "a"], "priority": 4})) is one
        for other in ({"included_skus": ["a"]}, {"excluded_skus": ["a", "b"]}, {"included_brands": ["a", "b"]}):
            assert scope_of(parse_spec({**RATE, **other})) is not one

    def test_a_line_without_a_brand_is_of_no_brand(self) -> None:
        scope = scope_of(parse_spec({**RATE, "excluded_brands": ["None"], "excluded_categories": ["None"]}))
        assert scope.takes(a_line(100))


class TestHours:
    @given(st.lists(st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=4), TIMES)
    def test_a_minute_lies_between_or_it_does_not(self, pairs: list[tuple[int, int]], minute: int) -> None:
        """An interval that ends earlier than it starts goes on past midnight."""
        rule = hours(*((clock(starts), clock(ends)) for starts, ends in pairs))
        kept = {m % 1_440 for starts, ends in pairs for m in range(starts, ends if ends > starts else ends + 1_440)}
        local = datetime(2026, 1, 5, minute // 60, minute % 60, 59, tzinfo=PARIS)
        assert rule.is_open(local) is (minute in kept)

    @pytest.mark.parametrize(
        ("day", "minutes"), [(COMMON, 60), (SHORT, 0), (LONG, 120)], ids=["common", "skipped", "twice"]
    )
    def test_an_hour_that_the_clocks_skip_or_repeat(self, day: date, minutes: int) -> None:
        start = midnight(day, PARIS)
        assert open_minutes(hours(("02:00", "03:00")), start, start + timedelta(hours=24)) == minutes

    @pytest.mark.parametrize(("day", "length_h"), [(COMMON, 8), (SHORT, 7), (LONG, 9)])
    def test_a_night_lasts_as_long_as_the_clocks_let_it(self, day: date, length_h: int) -> None:
        noon = midnight(day, PARIS) - timedelta(hours=12)
        assert open_minutes(hours(("22:00", "06:00")), noon, noon + timedelta(hours=24)) == 60 * length_h

    @pytest.mark.parametrize(("day", "length_h"), [(COMMON, 24), (SHORT, 23), (LONG, 25)])
    def test_a_weekday_is_as_long_as_its_day(self, day: date, length_h: int) -> None:
        rule = a_rule(window={"weekdays": [WEEKDAYS[day.weekday()]]})
        noon = midnight(day, PARIS) - timedelta(hours=12)
        assert open_minutes(rule, noon, noon + timedelta(hours=48)) == 60 * length_h

    def test_a_night_of_friday_ends_with_friday(self) -> None:
        """Weekdays are of the moment itself: what is to go on into Saturday names both days."""
        rule = hours(("22:00", "02:00"), weekdays=["fri"])
        friday = datetime(2026, 1, 9, 23, tzinfo=PARIS)
        early = friday.replace(hour=1)
        assert [rule.is_open(at) for at in (early, friday, friday + timedelta(hours=2))] == [True, True, False]

    def test_the_zone_decides_not_the_offset_in_which_it_is_told(self) -> None:
        rule = hours(("12:00", "13:00"))
        noon = datetime(2026, 7, 1, 10, 30, tzinfo=UTC)
        assert rule.is_open(noon.astimezone(PARIS))
        assert not rule.is_open(noon.astimezone(ZoneInfo("America/New_York")))
