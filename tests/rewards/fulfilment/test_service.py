"""From the order to the parcel: pieces and tokens move together, and nothing leaves too early."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from factories.goods import ACTOR, Workshop
from mereau.auth.domain import Reach
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, InvalidInputError, MereauError, NotFoundError
from mereau.ledger.errors import HoldSettledError, InsufficientBalanceError
from mereau.rewards.errors import NotCancellableError, OutOfStockError, RedeemedOtherwiseError
from mereau.rewards.fulfilment import repository, tasks
from mereau.rewards.fulfilment import service as deliveries
from mereau.rewards.fulfilment.errors import HeldUpError
from mereau.rewards.fulfilment.models import Delivery
from mereau.rewards.fulfilment.service import DeliveryView
from mereau.rewards.models import Reward

DAY = timedelta(days=1)


async def test_an_order_reserves_pieces_and_tokens_together(workshop: Workshop) -> None:
    stocked = await workshop.stock("S", "M", pieces=3)
    reward = await workshop.bring(stocked)
    view = await workshop.order(reward, stocked.variants[1].sku, external_id="app-1")
    delivery = view.delivery
    assert (delivery.state, delivery.proof, delivery.cleared_at) == ("ordered", "none", None)
    assert delivery.partner_id == workshop.partners[1].id
    assert [(piece.sku, piece.size, piece.pieces) for piece in view.pieces] == [(stocked.variants[1].sku, "S", 1)]
    assert view.recipient is not None
    assert view.recipient.city == "Lille"
    assert [await workshop.levels(stocked, place) for place in (0, 1)] == [(3, 0), (3, 1)]
    assert await workshop.counters() == (60, 0, 40, 0)
    assert [event.subject_id for event in await workshop.events("delivery.ordered")] == [delivery.id]


async def test_an_order_counts_once(workshop: Workshop) -> None:
    stocked = await workshop.stock()
    reward, other = await workshop.bring(stocked), await workshop.bring(stocked)
    sku = stocked.variants[0].sku
    first = await workshop.order(reward, sku, external_id="app-1")
    assert (await workshop.order(reward, sku, external_id="app-1")).delivery.id == first.delivery.id
    with pytest.raises(RedeemedOtherwiseError):
        await workshop.order(other, sku, external_id="app-1")
    assert await workshop.levels(stocked) == (10, 1)
    assert await workshop.counters() == (60, 0, 40, 0)


async def test_a_refused_order_leaves_nothing_behind(workshop: Workshop) -> None:
    stocked = await workshop.stock(pieces=1, buffer=1)
    sku = stocked.variants[0].sku
    cheap, dear = await workshop.bring(stocked), await workshop.bring(stocked, price_tokens=101)
    with pytest.raises(OutOfStockError):
        await workshop.order(cheap, sku)
    with pytest.raises(InsufficientBalanceError):
        await workshop.order(dear, sku)
    with pytest.raises(InvalidInputError) as refusal:
        await workshop.order(cheap, "NONE")
    assert [error.pointer for error in refusal.value.errors] == ["/skus/0"]
    with pytest.raises(InvalidInputError):
        await workshop.order(cheap, sku, marking_text="Ada")
    with pytest.raises(NotFoundError):
        await workshop.order(await workshop.offer(), sku)
    assert await workshop.levels(stocked) == (1, 0)
    assert await workshop.counters() == (100, 0, 0, 0)
    assert await workshop.rows("select * from delivery_recipients") == []


async def test_a_kit_is_one_parcel_of_several_goods(workshop: Workshop) -> None:
    tee, mug, cap = [await workshop.stock("M") for _ in range(3)]
    reward = await workshop.bring((tee, mug), cap)
    view = await workshop.order(reward, mug.variants[0].sku, cap.variants[0].sku)
    assert [piece.goods_id for piece in view.pieces] == [mug.goods.id, cap.goods.id]
    assert [await workshop.levels(one) for one in (tee, mug, cap)] == [(10, 0), (10, 1), (10, 1)]


async def test_withdrawn_goods_are_not_ordered_any_more(workshop: Workshop) -> None:
    stocked = await workshop.stock()
    reward = await workshop.bring(stocked)
    async with transaction(workshop.engine) as session:
        await deliveries.goods.set_status(session, stocked.goods.id, "withdrawn", workshop.now, actor=ACTOR)
    with pytest.raises(InvalidInputError):
        await workshop.order(reward, stocked.variants[0].sku)


async def attempt(workshop: Workshop, reward: Reward, sku: str, member: int) -> str:
    try:
        return (await workshop.order(reward, sku, member=member)).delivery.state
    except MereauError as error:
        return error.code


async def test_the_last_piece_goes_to_one_member(workshop: Workshop) -> None:
    stocked = await workshop.stock(pieces=1)
    reward = await workshop.bring(stocked)
    results = await asyncio.gather(*(attempt(workshop, reward, stocked.variants[0].sku, place) for place in (0, 1)))
    assert sorted(results) == ["ordered", "out_of_stock"]
    assert await workshop.levels(stocked) == (1, 1)
    assert sorted([(await workshop.counters(member))[2] for member in (0, 1)]) == [0, 40]


async def test_a_delivery_is_cleared_by_the_final_burn_alone(workshop: Workshop) -> None:
    """M2: until the tokens are gone for good, nothing is prepared."""
    stocked = await workshop.stock()
    view = await workshop.order(await workshop.bring(stocked), stocked.variants[0].sku)
    await workshop.hear()
    with pytest.raises(HeldUpError) as refusal:
        await workshop.step("prepared", view)
    assert [(error.pointer, error.code) for error in refusal.value.errors] == [("/deliveries/0", "not_cleared")]
    await workshop.clear(view)
    assert (await workshop.seen(view)).delivery.cleared_at == workshop.now
    (moved,) = await workshop.step("prepared", view)
    assert moved.delivery.state == "prepared"


async def test_clearing_waits_for_deliveries_in_their_order(workshop: Workshop) -> None:
    """As every other writer: whoever holds the first of two may still take the second, and nobody is stuck."""
    stocked = await workshop.stock()
    reward = await workshop.bring(stocked, price_tokens=5)
    views: list[Delivery] = []
    # Ids of one moment are in no order: until two deliveries stand the other way round than their redemptions.
    while sorted(views, key=lambda one: one.redemption_id) == sorted(views, key=lambda one: one.id):
        views.append((await workshop.order(reward, stocked.variants[0].sku)).delivery)
        workshop.now -= timedelta(seconds=1)
    for one in views:
        await workshop.burn(await workshop.redemption(one.redemption_id))
    first, *others = sorted(view.id for view in views)
    async with transaction(workshop.engine) as session:
        await repository.lock_many(session, [first], None)
        clearing = asyncio.create_task(workshop.hear())
        await workshop.wait_for_a_waiter()
        await repository.lock_many(session, others, None)
    await clearing
    rows = await workshop.rows("select cleared_at from deliveries")
    assert [row.cleared_at for row in rows] == [workshop.now] * len(views)


async def test_a_delivery_leaves_no_voucher_behind(workshop: Workshop) -> None:
    """What is sent is not handed over as well, and no date ends it while it is being made."""
    _, view = await workshop.cleared()
    redemption = await workshop.redemption(view.delivery.redemption_id)
    assert (redemption.state, redemption.voucher_digest, redemption.voucher_expires_at) == ("granted", None, None)


async def test_a_parcel_goes_its_way(workshop: Workshop) -> None:
    stocked, view = await workshop.cleared()
    (view,) = await workshop.step("prepared", view)
    assert await workshop.levels(stocked) == (10, 1)
    (view,) = await workshop.step("shipped", view, carrier="Colissimo")
    assert await workshop.levels(stocked) == (9, 0)
    assert await workshop.state(await workshop.redemption(view.delivery.redemption_id)) == "used"
    (view,) = await workshop.step("delivered", view)
    assert (view.delivery.state, view.delivery.carrier) == ("delivered", "Colissimo")
    (view,) = await workshop.step("returned", view)
    assert await workshop.levels(stocked) == (10, 0)
    rows = await workshop.rows(
        "select type from outbox_events where subject_id = :id order by seq", id=view.delivery.id
    )
    assert [row.type.partition(".")[2] for row in rows] == ["ordered", "prepared", "shipped", "delivered", "returned"]


async def test_what_shall_not_be_given_again_is_written_off(workshop: Workshop) -> None:
    stocked, view = await workshop.cleared()
    await workshop.send(view, "shipped")
    await workshop.step("returned", view, restock=False)
    assert await workshop.levels(stocked) == (9, 0)
    kinds = await workshop.rows("select kind from goods_movements order by seq desc limit 2")
    assert [row.kind for row in kinds] == ["written_off", "returned"]


async def test_a_step_again_changes_nothing(workshop: Workshop) -> None:
    stocked, view = await workshop.cleared()
    await workshop.send(view, "shipped")
    (again,) = await workshop.step("shipped", view)
    assert again.delivery.state == "shipped"
    assert await workshop.levels(stocked) == (9, 0)
    assert len(await workshop.events("delivery.shipped")) == 1


async def test_steps_are_taken_by_all_or_none(workshop: Workshop) -> None:
    stocked = await workshop.stock()
    reward = await workshop.bring(stocked)
    ready, waiting = [await workshop.order(reward, stocked.variants[0].sku, member=member) for member in (0, 1)]
    await workshop.clear(ready)
    with pytest.raises(HeldUpError, match="1 of 2") as refusal:
        await workshop.step("prepared", ready, waiting)
    assert [error.pointer for error in refusal.value.errors] == ["/deliveries/1"]
    assert (await workshop.seen(ready)).delivery.state == "ordered"


async def test_partners_move_their_own_deliveries(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    with pytest.raises(NotFoundError):
        await workshop.step("prepared", view, partner=0)
    await workshop.step("prepared", view, partner=1)
    async with snapshot(workshop.engine) as session:
        for reach in (Reach(partner_id=workshop.partners[0].id), Reach(member_id=workshop.members[1])):
            with pytest.raises(NotFoundError):
                await deliveries.get(session, view.delivery.id, reach)
            assert await deliveries.list_deliveries(session, reach, before_id=None, limit=5, state=None) == []
        mine = Reach(member_id=workshop.members[0])
        found = await deliveries.list_deliveries(session, mine, before_id=None, limit=5, state="prepared")
        assert [one.delivery.id for one in found] == [view.delivery.id]
        older = await deliveries.list_deliveries(session, mine, before_id=view.delivery.id, limit=5, state=None)
        assert older == []


async def test_cancelling_gives_pieces_and_tokens_back(workshop: Workshop) -> None:
    stocked = await workshop.stock()
    view = await workshop.order(await workshop.bring(stocked), stocked.variants[0].sku)
    cancelled = await workshop.take_back(view)
    assert (cancelled.delivery.state, cancelled.delivery.reason) == ("cancelled", "changed_mind")
    assert (await workshop.take_back(view)).delivery.state == "cancelled"
    await workshop.hear()
    assert await workshop.levels(stocked) == (10, 0)
    assert await workshop.counters() == (100, 0, 0, 0)
    assert len(await workshop.events("delivery.cancelled")) == 1


async def test_a_burn_on_its_way_holds_the_cancellation_up(workshop: Workshop) -> None:
    stocked = await workshop.stock()
    view = await workshop.order(await workshop.bring(stocked), stocked.variants[0].sku)
    await workshop.seal((await workshop.redemption(view.delivery.redemption_id)).entry_id)
    with pytest.raises(HoldSettledError):
        await workshop.take_back(view)
    assert await workshop.levels(stocked) == (10, 1)
    assert (await workshop.seen(view)).delivery.state == "ordered"


async def test_what_has_left_is_not_cancelled(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    await workshop.send(view, "shipped")
    with pytest.raises(NotCancellableError, match="shipped"):
        await workshop.take_back(view)
    async with transaction(workshop.engine) as session:
        with pytest.raises(NotFoundError):
            await deliveries.cancel(session, "dlv_none", "x", workshop.now, actor=ACTOR)


async def test_a_rejected_burn_cancels_the_delivery(workshop: Workshop) -> None:
    stocked = await workshop.stock()
    view = await workshop.order(await workshop.bring(stocked), stocked.variants[0].sku)
    await workshop.reject((await workshop.redemption(view.delivery.redemption_id)).entry_id)
    await workshop.listen()
    for _ in range(2):
        await workshop.write("update outbox_cursors set seq = 0 where consumer = 'deliveries'")
        await workshop.hear()
    seen = await workshop.seen(view)
    assert (seen.delivery.state, seen.delivery.reason) == ("cancelled", "redemption_rejected")
    assert await workshop.levels(stocked) == (10, 0)
    assert len(await workshop.events("delivery.cancelled")) == 1


async def test_listeners_side_by_side_hear_once(workshop: Workshop) -> None:
    stocked = await workshop.stock()
    view = await workshop.order(await workshop.bring(stocked), stocked.variants[0].sku)
    await workshop.reject((await workshop.redemption(view.delivery.redemption_id)).entry_id)
    await workshop.listen()
    await asyncio.gather(*(workshop.hear() for _ in range(4)))
    assert await workshop.levels(stocked) == (10, 0)


async def test_what_was_used_in_the_meantime_is_not_shipped(workshop: Workshop) -> None:
    stocked, view = await workshop.cleared()
    await workshop.step("prepared", view)
    await workshop.use(redemption_id=view.delivery.redemption_id)
    with pytest.raises(HeldUpError, match="not granted"):
        await workshop.step("shipped", view)
    await workshop.hear()
    seen = await workshop.seen(view)
    assert (seen.delivery.state, seen.delivery.reason) == ("cancelled", "redemption_used")
    assert await workshop.levels(stocked) == (10, 0)


async def outcome(action: object) -> str:
    try:
        found = await action  # type: ignore[misc] # any of the workshop's words
    except MereauError as error:
        return error.code
    view = found[0] if isinstance(found, list) else found
    assert isinstance(view, DeliveryView)
    return view.delivery.state


async def test_what_is_granted_comes_back_as_a_refund(workshop: Workshop) -> None:
    """Before it is shipped, tokens that are burned already are issued again."""
    stocked, view = await workshop.cleared()
    await workshop.step("prepared", view)
    cancelled = await workshop.take_back(view)
    assert cancelled.delivery.state == "cancelled"
    assert await workshop.state(await workshop.redemption(view.delivery.redemption_id)) == "refunded"
    assert await workshop.levels(stocked) == (10, 0)
    assert (await workshop.counters())[0] == 100
    await workshop.hear()
    assert len(await workshop.events("delivery.cancelled")) == 1


async def test_shipping_and_cancelling_at_once_is_one_of_both(workshop: Workshop) -> None:
    stocked, view = await workshop.cleared()
    await workshop.step("prepared", view)
    shipped, cancelled = await asyncio.gather(
        outcome(workshop.step("shipped", view)), outcome(workshop.take_back(view))
    )
    assert (shipped, cancelled) in {("shipped", "not_cancellable"), ("held_up", "cancelled")}
    left = shipped == "shipped"
    assert await workshop.levels(stocked) == ((9, 0) if left else (10, 0))
    assert (await workshop.counters())[0] == (60 if left else 100)


async def test_the_table_itself_lets_nothing_out_too_early(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    for change in ("proof = 'awaited'", "cleared_at = null"):
        with pytest.raises(IntegrityError):
            await workshop.write(f"update deliveries set state = 'shipped', {change}")
    assert (await workshop.seen(view)).delivery.state == "ordered"


async def test_personal_data_goes_when_it_is_no_longer_needed(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    async with transaction(workshop.engine) as session:
        with pytest.raises(ConflictError, match="needed"):
            await deliveries.erase(session, view.delivery.id, workshop.now, actor=ACTOR)
        with pytest.raises(NotFoundError):
            await deliveries.erase(session, "dlv_none", workshop.now, actor=ACTOR)
    await workshop.send(view)
    async with transaction(workshop.engine) as session:
        await deliveries.erase(session, view.delivery.id, workshop.now, actor=ACTOR)
    seen = await workshop.seen(view)
    assert (seen.delivery.state, seen.recipient, len(seen.pieces)) == ("delivered", None, 1)


async def test_personal_data_goes_by_itself_after_ninety_days(workshop: Workshop) -> None:
    stocked, ended = await workshop.cleared()
    kept = await workshop.order(await workshop.bring(stocked), stocked.variants[0].sku)
    await workshop.send(ended)
    assert await tasks.forget_recipients(workshop.engine, workshop.now + 90 * DAY) == 0
    assert await tasks.forget_recipients(workshop.engine, workshop.now + 91 * DAY) == 1
    assert await tasks.forget_recipients(workshop.engine, workshop.now + 91 * DAY) == 0
    assert (await workshop.seen(ended)).recipient is None
    assert (await workshop.seen(kept)).recipient is not None


async def test_nothing_personal_is_told_or_journalled(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    await workshop.send(view)
    for table in ("outbox_events", "journal_entries", "deliveries", "goods_movements"):
        text = str(await workshop.rows(f"select * from {table}"))
        assert "Camille" not in text
        assert "Lilas" not in text
