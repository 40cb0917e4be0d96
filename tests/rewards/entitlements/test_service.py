"""What a member may claim: shown while it is granted and not over, to who may know."""

from datetime import timedelta
from typing import Any

import pytest

from factories.rewards import Counter
from mereau.core.db import snapshot
from mereau.core.errors import NotFoundError
from mereau.rewards.entitlements import service
from mereau.rewards.entitlements.schemas import EntitlementsOut, show_entitlements
from mereau.rewards.kinds.domain import ExtendedReturn, PriorityService, Terms, Warranty

DAY = timedelta(days=1)


async def entitled(counter: Counter, terms: Terms, **changes: Any) -> str:
    redemption, _ = await counter.granted(terms=terms, price_tokens=10, **changes)
    return redemption.id


async def shown(counter: Counter, member: int = 0, **whose: str) -> EntitlementsOut:
    member_id = counter.members[member]
    async with snapshot(counter.engine) as session:
        return show_entitlements(member_id, await service.entitlements(session, member_id, counter.now, **whose))


async def test_what_was_redeemed_entitles_until_its_voucher_expires(counter: Counter) -> None:
    returns = await entitled(counter, ExtendedReturn(extra_days=30), validity_days=2)
    warranty = await entitled(counter, Warranty(extra_months=12), validity_days=9)
    await entitled(counter, PriorityService(), validity_days=1)
    found = {item.kind: item for item in (await shown(counter)).entitlements}
    assert {kind: item.promise for kind, item in found.items()} == {
        "extended_return": {"extra_days": 30},
        "warranty": {"extra_months": 12},
        "priority_service": {},
    }
    assert [found[kind].redemption_id for kind in ("extended_return", "warranty")] == [returns, warranty]
    assert (found["warranty"].granted_at, found["warranty"].until) == (counter.now, counter.now + 9 * DAY)
    counter.now += 2 * DAY
    assert [item.kind for item in (await shown(counter)).entitlements] == ["warranty"]


async def test_what_is_not_granted_or_no_entitlement_is_not_shown(counter: Counter) -> None:
    await counter.redeem(await counter.offer(terms=PriorityService(), price_tokens=5))
    await counter.granted(price_tokens=5)
    assert (await shown(counter)).entitlements == []


async def test_what_was_refunded_entitles_no_more(counter: Counter) -> None:
    redemption, _ = await counter.granted(terms=PriorityService(), price_tokens=5)
    await counter.refund(redemption)
    assert (await shown(counter)).entitlements == []


async def test_partners_see_what_they_honour(counter: Counter) -> None:
    await entitled(counter, PriorityService())
    assert len((await shown(counter, partner_id=counter.partners[1].id)).entitlements) == 1
    assert (await shown(counter, partner_id=counter.partners[0].id)).entitlements == []


async def test_entitlements_are_the_members_own(counter: Counter) -> None:
    await entitled(counter, PriorityService())
    other = await shown(counter, member=1)
    assert (other.entitlements, other.tier_id, other.tier_flags) == ([], None, [])


async def test_an_unknown_member_is_not_found(counter: Counter) -> None:
    async with snapshot(counter.engine) as session:
        with pytest.raises(NotFoundError):
            await service.entitlements(session, "mem_none", counter.now)
