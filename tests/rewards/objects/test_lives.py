"""What an object's code does in each state of its parcel, and what is earned by it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from factories.goods import ACTOR, Workshop
from mereau.auth.domain import Reach
from mereau.core.db import snapshot, transaction
from mereau.core.errors import MereauError, NotFoundError
from mereau.rewards.fulfilment.service import DeliveryView
from mereau.rewards.objects import service as objects
from mereau.rewards.objects.domain import GoodsFigures, Outcome
from mereau.rewards.objects.models import GoodsObject

OUTCOMES: tuple[Outcome, ...] = ("reused", "recycled", "upcycled", "discarded")
TICK = timedelta(microseconds=1)


async def mark(workshop: Workshop, view: DeliveryView, **options: Any) -> list[str]:
    async with transaction(workshop.engine) as session:
        marked = await objects.mark(session, view.delivery.id, 1, workshop.now, actor=ACTOR, **options)
    return [one.code for one in marked]


async def activate(workshop: Workshop, code: str, member: int = 0) -> GoodsObject:
    async with transaction(workshop.engine) as session:
        return await objects.activate(session, code, workshop.members[member], workshop.now)


async def bring_back(workshop: Workshop, code: str, outcome: Outcome = "recycled", **whose: Any) -> GoodsObject:
    async with transaction(workshop.engine) as session:
        return await objects.take_back(session, code, outcome, workshop.now, actor=ACTOR, **whose)


async def transfer(workshop: Workshop, code: str, to: str) -> GoodsObject:
    async with transaction(workshop.engine) as session:
        return await objects.transfer(session, code, to, workshop.now, actor=ACTOR, member_id=None)


async def code_of(action: Any) -> str:
    try:
        await action
    except MereauError as error:
        return error.code
    return "done"


async def in_state(workshop: Workshop, state: str) -> tuple[DeliveryView, str]:
    """A delivery in a state, and the code of its one object."""
    _, view = await workshop.cleared()
    (code,) = await mark(workshop, view)
    if state == "cancelled":
        await workshop.take_back(view)
    elif state != "ordered":
        await workshop.send(view, state)  # type: ignore[arg-type] # the other states are steps
    return await workshop.seen(view), code


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("ordered", "not_found"),
        ("prepared", "not_found"),
        ("shipped", "done"),
        ("delivered", "done"),
        ("returned", "not_found"),
        ("cancelled", "not_found"),
    ],
)
async def test_a_code_works_while_its_object_is_out(workshop: Workshop, state: str, answer: str) -> None:
    """A parcel that never left, or came back, gave nobody anything: neither activating nor recycling it earns."""
    _, code = await in_state(workshop, state)
    assert await code_of(activate(workshop, code)) == answer
    assert await code_of(bring_back(workshop, code)) == answer
    told = 1 if answer == "done" else 0
    for word in ("object.activated", "object.taken_back"):
        assert len(await workshop.events(word)) == told
    acts = await workshop.rows("select 1 from journal_entries where action = 'object.taken_back'")
    assert len(acts) == told


async def test_what_was_taken_back_is_over(workshop: Workshop) -> None:
    """Everything else about it is as unknown as a code that never was."""
    _, code = await in_state(workshop, "delivered")
    await bring_back(workshop, code)
    for action in (activate(workshop, code), bring_back(workshop, code), transfer(workshop, code, "M1")):
        with pytest.raises(NotFoundError, match="There is no such object"):
            await action
    (row,) = await workshop.rows("select activated_at, owner_member_id, outcome from goods_objects")
    assert tuple(row) == (None, workshop.members[0], "recycled")


async def test_activating_and_taking_back_at_once_is_one_order_of_both(workshop: Workshop) -> None:
    _, code = await in_state(workshop, "shipped")
    answers = await asyncio.gather(
        code_of(activate(workshop, code)), code_of(bring_back(workshop, code)), code_of(bring_back(workshop, code))
    )
    assert sorted(answers[1:]) == ["done", "not_found"]
    assert len(await workshop.events("object.taken_back")) == 1
    assert len(await workshop.events("object.activated")) == (1 if answers[0] == "done" else 0)


async def test_who_owns_it_in_the_end_is_rewarded(workshop: Workshop) -> None:
    _, code = await in_state(workshop, "shipped")
    await transfer(workshop, code, "M1")
    assert await code_of(activate(workshop, code, member=0)) == "not_found"
    await activate(workshop, code, member=1)
    await bring_back(workshop, code)
    for word in ("object.activated", "object.taken_back"):
        (event,) = await workshop.events(word)
        assert event.payload["member_id"] == workshop.members[1]


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_each_outcome_is_counted_as_itself(workshop: Workshop, outcome: Outcome) -> None:
    _, code = await in_state(workshop, "shipped")
    taken = await bring_back(workshop, code, outcome)
    assert taken.outcome == outcome
    async with snapshot(workshop.engine) as session:
        (found,) = await objects.figures(session, since=None, until=None)
    assert {name: getattr(found, name) for name in OUTCOMES} == {name: int(name == outcome) for name in OUTCOMES}
    assert (found.pieces_shipped, found.objects_activated) == (1, 0)


async def test_a_period_begins_with_its_first_instant_and_ends_before_its_last(workshop: Workshop) -> None:
    view, code = await in_state(workshop, "shipped")
    at = workshop.now
    await activate(workshop, code)
    await bring_back(workshop, code)

    async def counted(since: Any, until: Any) -> list[int]:
        async with snapshot(workshop.engine) as session:
            (found,) = await objects.figures(session, since=since, until=until)
        assert isinstance(found, GoodsFigures)
        assert found.goods_id == view.pieces[0].goods_id
        return [found.pieces_shipped, found.objects_activated, found.recycled]

    assert await counted(at, at + TICK) == [1, 1, 1]
    assert await counted(at, None) == [1, 1, 1]
    assert await counted(None, at) == [0, 0, 0]
    assert await counted(at + TICK, None) == [0, 0, 0]
    assert await counted(at, at) == [0, 0, 0]
    # What ends before it begins holds nothing.
    assert await counted(at + TICK, at - TICK) == [0, 0, 0]


async def test_only_who_sends_a_parcel_marks_its_pieces(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    for reach in (Reach(partner_id=workshop.partners[0].id), Reach(member_id=workshop.members[1])):
        with pytest.raises(NotFoundError):
            await mark(workshop, view, reach=reach)
    answers = await asyncio.gather(*(code_of(mark(workshop, view)) for _ in range(3)))
    assert sorted(answers) == ["already_marked", "already_marked", "done"]
    assert len(await workshop.rows("select 1 from goods_objects")) == 1


async def test_another_partner_takes_nothing_back(workshop: Workshop) -> None:
    _, code = await in_state(workshop, "shipped")
    with pytest.raises(NotFoundError):
        await bring_back(workshop, code, partner_id=workshop.partners[0].id)
    assert (await bring_back(workshop, code, partner_id=workshop.partners[1].id)).outcome == "recycled"
