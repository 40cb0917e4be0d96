"""What referrals ask of members, sales and the ledger."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from factories.earning import Shop, a_line
from mereau.core.amounts import MAX_AMOUNT_MINOR
from mereau.core.db import snapshot
from mereau.earning.referrals import queries
from mereau.earning.referrals.domain import Person
from mereau.earning.referrals.queries import Purchase

PARIS = ZoneInfo("Europe/Paris")


async def ask(shop: Shop, query: Any, *args: Any) -> Any:
    async with snapshot(shop.engine) as session:
        return await query(session, *args)


async def amounts(shop: Shop, *sale_ids: str) -> list[tuple[int, int]]:
    """(what each purchase came to, what of it is kept)."""
    found: list[Purchase] = await ask(shop, queries.purchases, sale_ids)
    return [(purchase.amount_minor, purchase.kept_minor) for purchase in found]


async def test_a_purchase_is_what_was_paid_for_the_goods(shop: Shop) -> None:
    sale = await shop.sell(
        a_line(1_000, discount_minor=300, tax_minor=100), a_line(500, eligible=False), shipping_minor=900
    )
    assert await amounts(shop, sale.id) == [(1_200, 1_200)]


@pytest.mark.parametrize(("back", "kept"), [(1, 667), (2, 334), (3, 1)])
async def test_what_is_kept_is_the_share_of_the_units_rounded_down(shop: Shop, back: int, kept: int) -> None:
    sale = await shop.sell(a_line(1_000, quantity=3), a_line(1, sku="bag"))
    await shop.bring_back(sale, (1, back))
    assert await amounts(shop, sale.id) == [(1_001, kept)]


async def test_the_largest_figures_do_not_stop_the_work(shop: Shop) -> None:
    """Amount times units leaves 64 bits; an event that cannot be read would keep all that follow from being read."""
    units = 2**40
    sale = await shop.sell(a_line(MAX_AMOUNT_MINOR, quantity=units))
    assert await amounts(shop, sale.id) == [(MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR)]
    await shop.bring_back(sale, (1, units // 2))
    assert await amounts(shop, sale.id) == [(MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR // 2)]


async def test_purchases_come_in_the_order_in_which_they_happened_and_have_a_buyer(shop: Shop) -> None:
    late = await shop.sell(a_line(300), occurred_at=shop.now)
    early = await shop.sell(a_line(100), occurred_at=shop.now - timedelta(days=2), member=1)
    nobodys = await shop.sell(a_line(200), member=None)
    found = await ask(shop, queries.purchases, [late.id, nobodys.id, early.id, "sal_none"])
    assert [(one.sale_id, one.member_id) for one in found] == [(early.id, shop.members[1]), (late.id, shop.members[0])]


async def person(shop: Shop, member: int = 0) -> Person:
    found: dict[str, Person] = await ask(shop, queries.people, [shop.members[member]], PARIS)
    return found[shop.members[member]]


async def set_facts(shop: Shop, member: int, **facts: Any) -> None:
    columns = ", ".join(f"{name} = :{name}" for name in facts)
    await shop.write(f"update members set {columns} where id = :id", id=shop.members[member], **facts)


NOBODY: dict[str, Any] = {"email_key": None, "phone": None, "device_digest": None}


@pytest.mark.parametrize(
    ("mine", "theirs", "is_other"),
    [
        ({}, {}, False),
        ({"email_key": "a@b.c"}, {"email_key": "a@b.c"}, True),
        ({"email_key": "a@b.c"}, {"email_key": "b@b.c"}, False),
        ({"phone": "+33612345678"}, {"phone": "+33612345678"}, True),
        ({"device_digest": b"\1" * 32}, {"device_digest": b"\1" * 32}, True),
        ({"device_digest": b"\1" * 32, "phone": "+33612345678"}, {"phone": "+33612345678"}, True),
        ({"phone": "+33612345678"}, {"email_key": "a@b.c"}, False),
    ],
    ids=str,
)
async def test_another_account_shares_something_that_is_there(
    shop: Shop, mine: dict[str, Any], theirs: dict[str, Any], *, is_other: bool
) -> None:
    """What nobody told is no bond between those who did not tell it."""
    await set_facts(shop, 0, **NOBODY | mine)
    await set_facts(shop, 1, **NOBODY | theirs)
    assert await ask(shop, queries.has_other_account, await person(shop)) is is_other


async def test_somebody_who_left_is_an_account_still(shop: Shop) -> None:
    """Or one would leave and be brought again, and again."""
    await set_facts(shop, 1, status="deleted")
    assert await ask(shop, queries.has_other_account, await person(shop))


@pytest.mark.parametrize(
    ("joined_at", "day"),
    [
        (datetime(2026, 7, 1, 21, 59, tzinfo=UTC), date(2026, 7, 1)),
        (datetime(2026, 7, 1, 22, 0, tzinfo=UTC), date(2026, 7, 2)),
        (datetime(2026, 1, 1, 22, 0, tzinfo=UTC), date(2026, 1, 1)),
    ],
)
async def test_the_day_of_joining_is_the_programmes(shop: Shop, joined_at: datetime, day: date) -> None:
    await set_facts(shop, 0, created_at=joined_at)
    assert (await person(shop)).joined_on == day


async def test_who_has_bought(shop: Shop) -> None:
    await shop.sell(member=None)
    await shop.sell(member=1)
    assert [await ask(shop, queries.has_bought, member) for member in shop.members] == [False, True]


async def test_what_a_source_credited_and_nobody_asked_back(shop: Shop) -> None:
    """What was spent is asked for once; of what is pending the same holds."""
    whole, part, gone, other = [await shop.credit(40, source_id=f"rfl_{n}") for n in (1, 1, 2, 3)]
    await shop.reverse(part, 15)
    await shop.reverse(gone, 40)
    found = await ask(shop, queries.credits_left, ["rfl_1", "rfl_2"])
    assert {(one.entry_id, one.tokens) for one in found} == {(whole, 40), (part, 25)}
    assert {one.partner_id for one in found} == {shop.partners[0].id}
    assert other not in {one.entry_id for one in found}


async def test_what_was_spent_is_not_asked_for_twice(shop: Shop) -> None:
    entry = await shop.credit(40, source_id="rfl_1")
    await shop.hold(30)
    await shop.reverse(entry, 40)
    assert await ask(shop, queries.credits_left, ["rfl_1"]) == []
