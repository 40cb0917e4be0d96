"""Pick lists: each parcel on one list, what is ready and nothing else, in the order of the shelves."""

import asyncio

import pytest

from factories.goods import ACTOR, Workshop
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, MereauError, NotFoundError
from mereau.rewards.fulfilment import service as deliveries
from mereau.rewards.fulfilment.domain import Passage
from mereau.rewards.fulfilment.models import PickList
from mereau.rewards.fulfilment.picking import service as picking
from mereau.rewards.fulfilment.picking.domain import Pick
from mereau.rewards.fulfilment.service import DeliveryView


async def make(workshop: Workshop, limit: int = 50, partner: int = 1) -> PickList:
    async with transaction(workshop.engine) as session:
        return await picking.create(session, workshop.partners[partner].id, limit, workshop.now, actor=ACTOR)


async def read(workshop: Workshop, made: PickList) -> list[Pick]:
    async with snapshot(workshop.engine) as session:
        return list(await picking.picks(session, made.id))


async def ready(workshop: Workshop, *sizes: str) -> list[DeliveryView]:
    """Cleared deliveries of one piece each, of five tokens."""
    stocked = await workshop.stock(*dict.fromkeys(sizes))
    reward = await workshop.bring(stocked, price_tokens=5)
    views = [await workshop.order(reward, f"{stocked.goods.external_id}-{size}") for size in sizes]
    await workshop.clear(*views)
    return views


async def test_a_list_is_in_the_order_of_the_shelves(workshop: Workshop) -> None:
    await ready(workshop, "2XL", "S", "XL", "M", "S")
    picks = await read(workshop, await make(workshop))
    assert [pick.piece.size for pick in picks] == ["S", "S", "M", "XL", "2XL"]
    assert picks[0].delivery_id < picks[1].delivery_id
    assert {pick.address.city for pick in picks if pick.address} == {"Lille"}


async def test_what_is_not_ready_waits_for_the_next_list(workshop: Workshop) -> None:
    (first,) = await ready(workshop, "M")
    stocked = await workshop.stock()
    reward = await workshop.bring(stocked, personalisation="text", price_tokens=5)
    marked = await workshop.order(reward, stocked.variants[0].sku, marking_text="Ada")
    await workshop.clear(marked)
    unpaid = await workshop.order(reward, stocked.variants[0].sku)
    assert [pick.delivery_id for pick in await read(workshop, await make(workshop))] == [first.delivery.id]
    with pytest.raises(ConflictError, match="ready"):
        await make(workshop)
    await workshop.decide(await workshop.prove(marked))
    await workshop.clear(unpaid)
    second = await read(workshop, await make(workshop))
    assert {pick.delivery_id: pick.marking_text for pick in second} == {
        marked.delivery.id: "Ada",
        unpaid.delivery.id: None,
    }


async def test_the_oldest_come_first(workshop: Workshop) -> None:
    views = await ready(workshop, "S", "M", "L")
    assert {pick.delivery_id for pick in await read(workshop, await make(workshop, limit=2))} == {
        view.delivery.id for view in views[:2]
    }


async def test_a_list_is_its_partners_own(workshop: Workshop) -> None:
    await ready(workshop, "M")
    with pytest.raises(ConflictError):
        await make(workshop, partner=0)
    made = await make(workshop)
    async with snapshot(workshop.engine) as session:
        assert (await picking.get(session, made.id, partner_id=workshop.partners[1].id)).id == made.id
        with pytest.raises(NotFoundError):
            await picking.get(session, made.id, partner_id=workshop.partners[0].id)
    async with transaction(workshop.engine) as session:
        with pytest.raises(NotFoundError):
            await picking.create(session, "par_none", 5, workshop.now, actor=ACTOR)


async def attempt(workshop: Workshop) -> list[str]:
    try:
        return [pick.delivery_id for pick in await read(workshop, await make(workshop, limit=2))]
    except MereauError:
        return []


async def test_hands_side_by_side_get_parcels_of_their_own(workshop: Workshop) -> None:
    views = await ready(workshop, "S", "M", "L", "XL", "S")
    lists = await asyncio.gather(*(attempt(workshop) for _ in range(3)))
    rest = await attempt(workshop)
    taken = [delivery_id for one in [*lists, rest] for delivery_id in one]
    assert len(taken) == len(set(taken))
    assert set(taken) <= {view.delivery.id for view in views}
    assert len(taken) >= 4


async def test_a_whole_list_takes_a_step(workshop: Workshop) -> None:
    first, second, third = await ready(workshop, "S", "M", "L")
    made = await make(workshop)
    await workshop.step("prepared", first)
    await workshop.take_out(second)

    async def step(partner: int) -> list[str]:
        passage = Passage("prepared", pick_list_id=made.id)
        async with transaction(workshop.engine) as session:
            views = await deliveries.take_step(
                session, passage, workshop.now, actor=ACTOR, partner_id=workshop.partners[partner].id
            )
        return [view.delivery.state for view in views]

    with pytest.raises(NotFoundError):
        await step(0)
    assert await step(1) == ["prepared", "prepared"]
    assert (await workshop.seen(third)).delivery.state == "prepared"
    assert [pick.state for pick in await read(workshop, made)] == ["prepared", "prepared"]
    assert len(await workshop.events("delivery.prepared")) == 2


async def test_an_erased_recipient_is_not_printed(workshop: Workshop) -> None:
    (view,) = await ready(workshop, "M")
    made = await make(workshop)
    await workshop.send(view)
    await workshop.erase(view)
    (pick,) = await read(workshop, made)
    assert (pick.address, pick.marking_text, pick.state) == (None, None, "delivered")
