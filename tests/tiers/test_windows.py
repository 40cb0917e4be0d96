"""To the instant: what counts by each basis in each window, in the programme's time zone."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import a_line
from factories.tiers import Club, make_club
from mereau.tiers.domain import Progress

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
BASES = (("tokens_earned", 10), ("spend", 1_000), ("visits", 1))


async def seen(club: Club, member: int = 0) -> Progress:
    found = (await club.member_tier(member)).progress
    assert found is not None
    return found


@pytest.mark.parametrize(("basis", "worth"), BASES)
async def test_a_rolling_window_begins_with_its_first_instant(club: Club, basis: str, worth: int) -> None:
    await club.enforce(worth, basis=basis, window="rolling", window_months=1)
    begins = datetime.fromisoformat("2025-12-05T09:30:00+00:00")
    assert begins.day == club.now.day
    await club.sell(a_line(1_000), member=0, occurred_at=begins)
    await club.sell(a_line(1_000), member=1, occurred_at=begins - TICK)
    await club.settle()
    assert await club.tiers() == ["bronze", None]
    assert [(await seen(club, member)).figure for member in (0, 1)] == [worth, 0]
    club.now += TICK
    await club.enforce(worth, basis=basis, window="rolling", window_months=1)
    await club.settle()
    assert await club.tiers() == [None, None]


@pytest.mark.parametrize(("basis", "worth"), BASES)
@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("Europe/Paris", "2025-12-31T23:00:00+00:00"),
        ("Pacific/Auckland", "2025-12-31T11:00:00+00:00"),
        ("America/Martinique", "2026-01-01T04:00:00+00:00"),
    ],
)
async def test_a_year_begins_where_the_programme_is(
    club: Club, basis: str, worth: int, zone: str, midnight: str
) -> None:
    await club.write("update programs set time_zone = :zone", zone=zone)
    await club.enforce(worth, basis=basis, window="calendar_year")
    begins = datetime.fromisoformat(midnight)
    await club.sell(a_line(1_000), member=0, occurred_at=begins)
    await club.sell(a_line(1_000), member=1, occurred_at=begins - TICK)
    await club.settle()
    assert await club.tiers() == ["bronze", None]
    to_keep = (await seen(club)).to_keep
    assert to_keep is not None
    assert to_keep.until == begins.replace(year=begins.year + 1)


async def test_a_visit_is_a_day_where_the_programme_is(club: Club) -> None:
    """An hour apart, over midnight in Paris and not in Auckland."""
    for minutes in (-30, 30):
        at = datetime.fromisoformat("2026-01-02T23:00:00+00:00") + timedelta(minutes=minutes)
        await club.sell(a_line(1_000), occurred_at=at)
    for zone, visits in (("Europe/Paris", 2), ("Pacific/Auckland", 1), ("UTC", 1)):
        await club.write("update programs set time_zone = :zone", zone=zone)
        await club.enforce(1, 2, basis="visits")
        assert (await seen(club)).figure == visits, zone


async def test_what_made_a_tier_is_not_counted_for_the_next_since_the_change(club: Club) -> None:
    await club.enforce(10, 20, window="since_change", grace_days=30)
    await club.sell(a_line(1_000))
    await club.settle()
    assert (await seen(club)).figure == 0
    await club.sell(a_line(1_900), occurred_at=club.now)
    assert (await seen(club)).figure == 0
    club.now += TICK
    await club.sell(a_line(1_900), occurred_at=club.now)
    assert (await seen(club)).figure == 19
    await club.settle()
    assert (await club.tiers())[0] == "bronze"


@pytest.mark.parametrize(
    ("basis", "figures"), [("tokens_earned", (30, 20, 0)), ("spend", (3_000, 2_000, 0)), ("visits", (1, 1, 0))]
)
async def test_what_comes_back_counts_no_longer(club: Club, basis: str, figures: tuple[int, ...]) -> None:
    await club.enforce(1, basis=basis)
    sale = await club.sell(a_line(3_000, quantity=3))
    found = [(await seen(club)).figure]
    for quantity in (1, 2):
        await club.bring_back(sale, (1, quantity))
        found.append((await seen(club)).figure)
    assert tuple(found) == figures


async def test_nobody_earns_by_what_another_bought(club: Club) -> None:
    await club.enforce(1, basis="spend")
    await club.sell(a_line(1_000), member=1)
    await club.sell(a_line(9_000), member=None)
    await club.settle()
    assert await club.tiers() == [None, "bronze"]
    assert [(await seen(club, member)).figure for member in (0, 1)] == [0, 1_000]


async def test_a_debt_is_no_balance(engine: AsyncEngine) -> None:
    """Tokens that were spent and then taken back leave a debt; the balance is nothing, not less."""
    club = await make_club(engine, return_policy="debt")
    await club.enforce(0, 1, basis="balance")
    sale = await club.sell(a_line(3_000))
    await club.mine(str(sale.entry_id))
    await club.mine(await club.hold(30))
    await club.bring_back(sale)
    assert (await club.counters())[3] == 30
    assert (await seen(club)).figure == 0
    await club.settle()
    assert await club.tiers() == ["bronze", "bronze"]


@pytest.mark.parametrize(("downgrade", "left"), [("by_value", None), ("one_step", "silver"), ("never", "gold")])
async def test_a_grace_ends_to_the_instant(club: Club, downgrade: str, left: str | None) -> None:
    await club.enforce(10, 20, 30, grace_days=3, downgrade=downgrade)
    sale = await club.sell(a_line(3_000))
    await club.settle()
    await club.bring_back(sale)
    await club.settle()
    began = club.now
    for at, tier in ((began + 3 * DAY - TICK, "gold"), (began + 3 * DAY, left)):
        club.now = at
        await club.settle()
        assert (await club.tiers())[0] == tier
    below = (await club.member_tier()).standing
    assert below is not None
    assert (below.below_since is None) == (downgrade != "one_step")


async def test_a_return_within_the_grace_is_forgiven_by_another_sale(club: Club) -> None:
    await club.enforce(10, grace_days=3)
    sale = await club.sell(a_line(1_000))
    await club.settle()
    await club.bring_back(sale)
    await club.settle()
    lacking = (await seen(club)).to_keep
    assert lacking is not None
    assert (lacking.missing, lacking.until) == (10, club.now + 3 * DAY)
    await club.sell(a_line(1_000))
    await club.settle()
    kept = (await seen(club)).to_keep
    assert kept is not None
    assert (kept.missing, kept.until) == (0, None)
    told = [event.payload["direction"] for event in await club.events("tier.changed")]
    assert told == ["joined", "kept"]
