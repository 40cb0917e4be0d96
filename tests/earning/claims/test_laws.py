"""What holds for every receipt: one of each sale, on one day, to one amount, for so long."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from mereau.earning.claims.domain import Receipt, is_claimable

ZONES = st.sampled_from(["UTC", "Europe/Paris", "Pacific/Apia", "America/New_York", "Asia/Kathmandu"]).map(ZoneInfo)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds
DAYS = st.integers(1, 1_095)


@dataclass(frozen=True)
class Sold:
    occurred_at: datetime
    shipping_minor: int = 0
    member_id: str | None = None


@dataclass(frozen=True)
class Line:
    amount_minor: int
    discount_minor: int = 0
    returned_quantity: int = 0


LINES = st.lists(
    st.integers(0, 10**6).flatmap(lambda amount: st.builds(Line, st.just(amount), st.integers(0, amount))),
    min_size=1,
    max_size=5,
)
SALES = st.builds(Sold, INSTANTS, st.integers(0, 10**4))


def printed(sale: Sold, lines: list[Line], zone: ZoneInfo) -> Receipt:
    """What stands on the receipt of a sale."""
    paid_minor = sum(line.amount_minor for line in lines) - sum(line.discount_minor for line in lines)
    return Receipt("par_1", "R-1", paid_minor + sale.shipping_minor, sale.occurred_at.astimezone(zone).date())


@given(SALES, LINES, ZONES, DAYS, st.data())
def test_the_right_receipt_is_claimed_until_its_last_moment(
    sale: Sold, lines: list[Line], zone: ZoneInfo, within_days: int, data: st.DataObject
) -> None:
    receipt = printed(sale, lines, zone)
    passed = data.draw(st.timedeltas(timedelta(), timedelta(days=within_days)))
    assert is_claimable(receipt, sale, lines, sale.occurred_at + passed, zone, within_days)
    late = sale.occurred_at + timedelta(days=within_days, microseconds=1)
    assert not is_claimable(receipt, sale, lines, late, zone, within_days)


@given(SALES, LINES, ZONES, st.integers(-(10**7), 10**7))
def test_no_other_amount_is_claimed(sale: Sold, lines: list[Line], zone: ZoneInfo, off_minor: int) -> None:
    right = printed(sale, lines, zone)
    receipt = replace(right, amount_minor=right.amount_minor + off_minor)
    assert is_claimable(receipt, sale, lines, sale.occurred_at, zone, 30) == (off_minor == 0)


@given(SALES, LINES, ZONES, st.integers(-3, 3))
def test_no_other_day_is_claimed(sale: Sold, lines: list[Line], zone: ZoneInfo, off_days: int) -> None:
    right = printed(sale, lines, zone)
    receipt = replace(right, day=right.day + timedelta(days=off_days))
    assert is_claimable(receipt, sale, lines, sale.occurred_at, zone, 30) == (off_days == 0)


@given(SALES, LINES, ZONES, ZONES)
def test_the_day_is_read_in_one_zone_alone(sale: Sold, lines: list[Line], zone: ZoneInfo, other: ZoneInfo) -> None:
    receipt = printed(sale, lines, other)
    same_day = sale.occurred_at.astimezone(zone).date() == sale.occurred_at.astimezone(other).date()
    assert is_claimable(receipt, sale, lines, sale.occurred_at, zone, 30) == same_day


@given(SALES, LINES, ZONES, st.data())
def test_what_is_somebodys_or_came_back_is_nobodys_to_claim(
    sale: Sold, lines: list[Line], zone: ZoneInfo, data: st.DataObject
) -> None:
    receipt = printed(sale, lines, zone)
    assert not is_claimable(receipt, replace(sale, member_id="mem_1"), lines, sale.occurred_at, zone, 30)
    place = data.draw(st.integers(0, len(lines) - 1))
    came_back = [replace(line, returned_quantity=int(i == place)) for i, line in enumerate(lines)]
    assert not is_claimable(receipt, sale, came_back, sale.occurred_at, zone, 30)


@given(SALES, LINES)
def test_the_lines_order_does_not_matter(sale: Sold, lines: list[Line]) -> None:
    zone = ZoneInfo("UTC")
    receipt = printed(sale, lines, zone)
    assert is_claimable(receipt, sale, list(reversed(lines)), sale.occurred_at, zone, 1)


@given(st.dates(date(2021, 1, 1), date(2050, 1, 1)), ZONES)
def test_a_receipt_of_the_night_bears_the_zones_date(day: date, zone: ZoneInfo) -> None:
    """A second before midnight is the day before, wherever the programme is."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    assume(midnight.astimezone(zone).date() == day)
    for at, expected in ((midnight, day), (midnight - timedelta(seconds=1), day - timedelta(days=1))):
        receipt = Receipt("par_1", "R-1", 500, expected)
        assert is_claimable(receipt, Sold(at), [Line(500)], midnight, zone, 30)
