"""When a friend's purchase counts and when a return undoes it: to the instant, to the cent, up to the cap."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, a_line, make_shop
from factories.rules import fixed
from mereau.core.db import transaction
from mereau.earning.referrals import service
from mereau.earning.referrals.models import Referral
from mereau.earning.referrals.qualifying import tasks
from mereau.earning.service import RecordedSale
from mereau.earning.terms import service as terms
from mereau.earning.terms.service import Terms

MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
REFERRER, FRIEND = 0, 1


@pytest.fixture
async def shop(engine: AsyncEngine) -> Shop:
    """Referrers earn 100, friends 50, purchases nothing; nobody shares a mailbox with anybody."""
    shop = await make_shop(engine, None, member_count=5)
    await shop.write("update members set email = null, email_key = null")
    await shop.activate(fixed(1) | {"minimum_minor": 10**9}, "base")
    for trigger, tokens in (("referral_referrer", 100), ("referral_referred", 50)):
        await shop.activate(fixed(tokens) | {"trigger": trigger, "issuer_partner_id": shop.partners[0].id}, trigger)
    return shop


async def lay_down(shop: Shop, **changes: Any) -> None:
    async with transaction(shop.engine) as session:
        await terms.change(session, Terms(**changes), shop.now, actor="key:test")


async def bring(shop: Shop, friend: int = FRIEND) -> Referral:
    async with transaction(shop.engine) as session:
        code = await service.ensure_code(session, shop.members[REFERRER], shop.now)
        return await service.attribute(session, shop.members[friend], code, shop.now, actor="key:test")


async def buy(shop: Shop, amount_minor: int = 2_000, friend: int = FRIEND, **changes: Any) -> RecordedSale:
    sale = await shop.sell(a_line(amount_minor, quantity=10), member=friend, **changes)
    await tasks.follow_purchases(shop.engine, shop.now)
    return sale


async def bring_back(shop: Shop, sale: RecordedSale, units: int = 10) -> None:
    await shop.bring_back(sale, (1, units))
    await tasks.follow_purchases(shop.engine, shop.now)


async def referrals(shop: Shop) -> list[Any]:
    """Referrals in the order of the friends."""
    rows = await shop.rows("select * from referrals")
    return sorted(rows, key=lambda row: shop.members.index(row.referred_id))


async def states(shop: Shop) -> list[str]:
    return [row.state for row in await referrals(shop)]


async def spendable(shop: Shop, *members: int) -> list[int]:
    return [(await shop.counters(member))[0] for member in members or (REFERRER, FRIEND)]


@pytest.mark.parametrize(
    ("bought", "counts"),
    [(-MOMENT, False), (timedelta(), True), (30 * DAY - MOMENT, True), (30 * DAY, False)],
    ids=str,
)
async def test_a_purchase_counts_from_the_attribution_until_its_end(
    shop: Shop, bought: timedelta, *, counts: bool
) -> None:
    await lay_down(shop, referral_within_days=30)
    referral = await bring(shop)
    assert referral.expires_at == shop.now + 30 * DAY
    shop.now, at = shop.now + 31 * DAY, shop.now + bought
    await buy(shop, occurred_at=at)
    assert await states(shop) == ["qualified" if counts else "pending"]
    assert await spendable(shop) == ([100, 50] if counts else [0, 0])


@pytest.mark.parametrize(
    ("minimum", "amount", "counts"), [(0, 1, True), (0, 0, False), (2_000, 2_000, True), (2_000, 1_999, False)]
)
async def test_it_is_as_large_as_it_must_be(shop: Shop, minimum: int, amount: int, *, counts: bool) -> None:
    await lay_down(shop, referral_minimum_minor=minimum)
    await bring(shop)
    await buy(shop, amount)
    assert await states(shop) == ["qualified" if counts else "pending"]


async def test_a_small_purchase_leaves_the_place_to_a_larger_one(shop: Shop) -> None:
    await lay_down(shop, referral_minimum_minor=2_000)
    await bring(shop)
    await buy(shop, 1_000)
    large = await buy(shop, 3_000)
    await buy(shop, 4_000)
    (row,) = await referrals(shop)
    assert (row.state, row.sale_id) == ("qualified", large.id)
    assert await spendable(shop) == [100, 50]


async def test_of_two_purchases_seen_together_the_earlier_counts(shop: Shop) -> None:
    await bring(shop)
    later = await shop.sell(a_line(2_000), member=FRIEND, occurred_at=shop.now + timedelta(minutes=5))
    earlier = await shop.sell(a_line(2_000), member=FRIEND, occurred_at=shop.now)
    await tasks.follow_purchases(shop.engine, shop.now)
    assert [row.sale_id for row in await referrals(shop)] == [earlier.id] != [later.id]


@pytest.mark.parametrize(
    ("period", "last"),
    [
        ("month", datetime(2026, 1, 31, 22, 59, tzinfo=UTC)),
        ("quarter", datetime(2026, 3, 31, 21, 59, tzinfo=UTC)),
        ("year", datetime(2026, 12, 31, 22, 59, tzinfo=UTC)),
    ],
)
async def test_a_cap_begins_anew_at_the_programmes_midnight(shop: Shop, period: str, last: datetime) -> None:
    await lay_down(shop, referral_cap=1, referral_cap_period=period, referral_within_days=400)
    for friend in (1, 2, 3, 4):
        await bring(shop, friend)
    for friend, at in enumerate((last, last, last + timedelta(minutes=1), last + DAY), 1):
        shop.now = at
        await buy(shop, friend=friend)
    assert [row.is_capped for row in await referrals(shop)] == [False, True, False, True]
    assert await spendable(shop, 0, 1, 2, 3, 4) == [200, 50, 50, 50, 50], "friends are credited beyond it"


@pytest.mark.parametrize(("after", "is_undone"), [(30 * DAY, True), (30 * DAY + MOMENT, False)], ids=str)
async def test_a_return_undoes_it_until_its_last_instant(shop: Shop, after: timedelta, *, is_undone: bool) -> None:
    await bring(shop)
    sale = await buy(shop)
    shop.now += after
    await bring_back(shop, sale)
    assert await states(shop) == ["cancelled" if is_undone else "qualified"]
    assert await spendable(shop) == ([0, 0] if is_undone else [100, 50])


@pytest.mark.parametrize(("units", "is_undone"), [(1, False), (5, False), (6, True), (10, True)])
async def test_it_stands_while_enough_is_kept(shop: Shop, units: int, *, is_undone: bool) -> None:
    """Ten units of 4.00, of which 20.00 must stay."""
    await lay_down(shop, referral_minimum_minor=2_000)
    await bring(shop)
    await bring_back(shop, await buy(shop, 4_000), units)
    assert await states(shop) == ["cancelled" if is_undone else "qualified"]


async def test_what_is_read_again_changes_nothing(shop: Shop) -> None:
    """A worker that died before it wrote down its place begins anew."""
    await bring(shop)
    sale = await buy(shop)
    await shop.write("delete from outbox_cursors")
    await tasks.follow_purchases(shop.engine, shop.now)
    assert await spendable(shop) == [100, 50]
    for _ in range(2):
        await bring_back(shop, sale, 5)
    await shop.write("delete from outbox_cursors")
    await tasks.follow_purchases(shop.engine, shop.now)
    assert (await states(shop), await spendable(shop)) == (["cancelled"], [0, 0])
    assert len(await shop.events("referral.cancelled")) == len(await shop.events("referral.qualified")) == 1


async def test_what_was_spent_meanwhile_is_forgiven_as_with_any_return(shop: Shop) -> None:
    await bring(shop)
    sale = await buy(shop)
    await shop.hold(70)
    await bring_back(shop, sale)
    assert await shop.counters(REFERRER) == (0, 0, 70, 0)
    assert await shop.counters(FRIEND) == (0, 0, 0, 0)


async def test_the_programme_is_told_of_both_sides(shop: Shop) -> None:
    referral = await bring(shop)
    sale = await buy(shop)
    (event,) = await shop.events("referral.qualified")
    sides = {"referrer_id": shop.members[REFERRER], "referred_id": shop.members[FRIEND]}
    assert (event.subject_id, event.payload) == (referral.id, sides | {"sale_id": sale.id, "is_capped": False})
    await bring_back(shop, sale)
    (event,) = await shop.events("referral.cancelled")
    assert (event.subject_id, event.payload) == (referral.id, sides)


@pytest.mark.parametrize(("after", "state"), [(90 * DAY - MOMENT, "pending"), (90 * DAY, "expired")], ids=str)
async def test_who_waits_is_forgotten_at_the_end_of_the_time(shop: Shop, after: timedelta, state: str) -> None:
    await bring(shop)
    assert await tasks.expire_referrals(shop.engine, shop.now + after) == (state == "expired")
    assert await states(shop) == [state]


async def test_what_counted_or_was_undone_is_not_forgotten(shop: Shop) -> None:
    for friend in (1, 2, 3):
        await bring(shop, friend)
    await buy(shop, friend=1)
    await bring_back(shop, await buy(shop, friend=2))
    assert await tasks.expire_referrals(shop.engine, shop.now + 500 * DAY) == 1
    assert await states(shop) == ["qualified", "cancelled", "expired"]


async def test_many_are_forgotten_in_passes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "REFERRALS_PER_PASS", 2)
    for friend in (1, 2, 3, 4):
        await bring(shop, friend)
    assert await tasks.expire_referrals(shop.engine, shop.now + 90 * DAY) == 4
    assert await states(shop) == ["expired"] * 4
