"""Receipts and codes claimed while other things happen: no receipt twice, no limit overrun, no token left over."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import ONE_PER_UNIT, Shop, a_line, make_shop
from factories.rules import fixed
from mereau.core.db import transaction
from mereau.earning.claims import service
from mereau.earning.claims.errors import ReceiptNotValidError
from mereau.earning.claims.service import Receipt
from mereau.earning.codes import service as codes
from mereau.earning.codes.errors import CodeEarnsNothingError
from mereau.earning.codes.service import Claimed, PoolDraft
from mereau.earning.service import RecordedReturn, RecordedSale

PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
async def shop(engine: AsyncEngine) -> Shop:
    return await make_shop(engine, member_count=6)


async def a_receipt(shop: Shop, amount_minor: int = 1_000) -> tuple[RecordedSale, Receipt]:
    """A sale of two units to nobody known, and what is printed on its receipt."""
    sale = await shop.sell(a_line(amount_minor, quantity=2), member=None)
    return sale, Receipt(sale.partner_id, sale.external_id, amount_minor, shop.now.astimezone(PARIS).date())


async def claim(shop: Shop, receipt: Receipt, member: int = 0) -> RecordedSale:
    async with transaction(shop.engine) as session:
        return await service.claim(session, shop.members[member], receipt, shop.now, actor="key:test")


async def at_once(*acts: Awaitable[Any]) -> list[Any]:
    return list(await asyncio.gather(*acts, return_exceptions=True))


async def spendable(shop: Shop) -> list[int]:
    return [(await shop.counters(member))[0] for member in range(len(shop.members))]


async def test_a_receipt_goes_to_one_of_all_who_claim_it(shop: Shop) -> None:
    sale, receipt = await a_receipt(shop)
    done = await at_once(*(claim(shop, receipt, member) for member in range(6)))
    assert sorted(type(one).__name__ for one in done) == ["ReceiptNotValidError"] * 5 + ["RecordedSale"]
    view = await shop.view(sale.id)
    assert view is not None
    winner = shop.members.index(view.head.member_id or "")
    assert await spendable(shop) == [10 if member == winner else 0 for member in range(6)]
    assert len(await shop.events("sale.claimed")) == 1


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("claim_first", [True, False])
async def test_goods_that_come_back_meanwhile_earn_nothing_that_stays(
    shop: Shop, units: int, *, claim_first: bool
) -> None:
    """Whoever is first: a claim of what came back is refused, and what was claimed comes back with its tokens."""
    sale, receipt = await a_receipt(shop)
    acts = [claim(shop, receipt), shop.bring_back(sale, (1, units))]
    done = await at_once(*(acts if claim_first else reversed(acts)))
    claimed = next(one for one in done if not isinstance(one, RecordedReturn))
    back = next(one for one in done if isinstance(one, RecordedReturn))
    if isinstance(claimed, ReceiptNotValidError):
        assert (back.tokens_due, await spendable(shop)) == (0, [0] * 6)
    else:
        assert (claimed.tokens, back.tokens_reversed) == (10, 5 * units)
        assert (await spendable(shop))[0] == 10 - 5 * units
    assert await shop.drift() == 0


async def test_a_till_that_repeats_itself_meanwhile_records_nothing_more(shop: Shop) -> None:
    draft = shop.a_sale(a_line(1_000), member=None)
    await shop.record(draft)
    receipt = Receipt(draft.partner_id, draft.external_id, 1_000, shop.now.astimezone(PARIS).date())
    claimed, *repeated = await at_once(claim(shop, receipt), *(shop.record(draft) for _ in range(3)))
    assert claimed.tokens == 10
    assert all(outcome.duplicate and outcome.id == claimed.id for (outcome,) in repeated)
    assert (await shop.count("sales"), await shop.count("entries")) == (1, 1)


async def test_receipts_of_one_member_at_once_keep_to_the_limit(shop: Shop) -> None:
    await shop.activate({**ONE_PER_UNIT, "limits": [{"per": "member", "period": "day", "tokens": 25}]})
    receipts = [(await a_receipt(shop))[1] for _ in range(6)]
    done = await at_once(*(claim(shop, receipt) for receipt in receipts))
    assert sorted(one.tokens for one in done) == [0, 0, 0, 5, 10, 10]
    assert (await spendable(shop))[0] == 25


async def test_the_limit_is_that_of_the_day_on_which_it_was_bought(shop: Shop) -> None:
    """Or one would keep receipts for a day without purchases."""
    await shop.activate({**ONE_PER_UNIT, "limits": [{"per": "member", "period": "day", "tokens": 10}]})
    receipts = []
    for _ in range(2):
        receipts.append((await a_receipt(shop))[1])
        receipts.append((await a_receipt(shop))[1])
        shop.now += timedelta(days=1)
    assert [(await claim(shop, receipt)).tokens for receipt in receipts] == [10, 0, 10, 0]


async def test_codes_at_once_share_a_budget_to_the_last_token(shop: Shop) -> None:
    """Who comes too late learns that nothing is left, and the code stays good for the next period."""
    budget = {"limits": [{"per": "programme", "period": "month", "tokens": 25}]}
    await shop.activate(fixed(10) | {"trigger": "code", "issuer_partner_id": shop.partners[0].id} | budget, "flyer")
    draft = PoolDraft("spring", None, None, None, {}, 1, None, None)
    async with transaction(shop.engine) as session:
        pool = await codes.create_pool(session, draft, shop.now, actor="key:test")
        drawn = await codes.generate(session, pool.id, 6, shop.now, actor="key:test")

    async def use(member: int) -> Claimed:
        async with transaction(shop.engine) as session:
            return await codes.claim(session, shop.members[member], drawn[member], shop.now, actor="key:test")

    done = await at_once(*(use(member) for member in range(6)))
    assert sorted(one.tokens for one in done if isinstance(one, Claimed)) == [5, 10, 10]
    assert sum(isinstance(one, CodeEarnsNothingError) for one in done) == 3
    assert sorted(await spendable(shop)) == [0, 0, 0, 5, 10, 10]
    assert len(await shop.events("budget.exhausted")) == 1
    shop.now += timedelta(days=31)
    late = [member for member, one in enumerate(done) if not isinstance(one, Claimed)]
    assert sorted(one.tokens for one in await at_once(*(use(member) for member in late))) == [5, 10, 10]
