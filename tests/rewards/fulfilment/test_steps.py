"""Every act on a delivery in every state: what goes through, what is refused and by which code."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from factories.goods import ACTOR, PDF, Workshop
from mereau.auth.domain import Reach
from mereau.core.db import WriteSession, transaction
from mereau.core.errors import ForbiddenError, MereauError, NotFoundError
from mereau.rewards.fulfilment import service as deliveries
from mereau.rewards.fulfilment.domain import Parcel, Passage, Step, has_taken
from mereau.rewards.fulfilment.errors import HeldUpError
from mereau.rewards.fulfilment.proofs import service as proofs
from mereau.rewards.fulfilment.service import DeliveryView
from mereau.rewards.objects import service as objects

STEPS: tuple[Step, ...] = ("prepared", "shipped", "delivered", "returned")
Act = Callable[[WriteSession, Workshop, str], Awaitable[Any]]


def stepping(step: Step) -> Act:
    async def act(session: WriteSession, workshop: Workshop, delivery_id: str) -> None:
        passage = Passage(step, (Parcel(delivery_id),))
        await deliveries.take_step(session, passage, workshop.now, actor=ACTOR)

    return act


async def cancel(session: WriteSession, workshop: Workshop, delivery_id: str) -> None:
    await deliveries.cancel(session, delivery_id, "changed_mind", workshop.now, actor=ACTOR)


async def erase(session: WriteSession, workshop: Workshop, delivery_id: str) -> None:
    await deliveries.erase(session, delivery_id, workshop.now, actor=ACTOR)


async def mark(session: WriteSession, workshop: Workshop, delivery_id: str) -> None:
    await objects.mark(session, delivery_id, 1, workshop.now, actor=ACTOR)


async def prove(session: WriteSession, workshop: Workshop, delivery_id: str) -> None:
    await proofs.submit(session, delivery_id, PDF, workshop.now, actor=ACTOR)


ACTS: dict[str, Act] = {step: stepping(step) for step in STEPS} | {
    "cancel": cancel,
    "erase": erase,
    "mark": mark,
    "prove": prove,
}
DONE, HELD, LEFT = "done", "held_up", "not_cancellable"
ALLOWED = {
    # state: prepared, shipped, delivered, returned, cancel, erase, mark, prove (of a text that is approved)
    "ordered": (DONE, HELD, HELD, HELD, DONE, "conflict", DONE, "proof_not_needed"),
    "prepared": (DONE, DONE, HELD, HELD, DONE, "conflict", DONE, "proof_not_needed"),
    "shipped": (DONE, DONE, DONE, DONE, LEFT, "conflict", "conflict", "proof_not_needed"),
    "delivered": (DONE, DONE, DONE, DONE, LEFT, DONE, "conflict", "proof_not_needed"),
    "returned": (DONE, DONE, DONE, DONE, LEFT, DONE, "conflict", "proof_not_needed"),
    "cancelled": (HELD, HELD, HELD, HELD, DONE, DONE, "conflict", "proof_not_needed"),
}


class UndoneError(Exception):
    """Takes an act back that was only tried."""


async def tried(workshop: Workshop, act: Act, view: DeliveryView) -> str:
    """What becomes of an act, which then did not happen."""

    async def act_and_undo() -> None:
        async with transaction(workshop.engine) as session:
            await act(session, workshop, view.delivery.id)
            raise UndoneError

    try:
        await act_and_undo()
    except UndoneError:
        return DONE
    except MereauError as error:
        return error.code


async def in_every_state(workshop: Workshop) -> dict[str, DeliveryView]:
    """A cleared delivery with an approved marking in each state, reached by its own way."""
    stocked = await workshop.stock(pieces=20)
    reward = await workshop.bring(stocked, personalisation="text", price_tokens=5)
    views = {
        state: await workshop.order(reward, stocked.variants[0].sku, marking_text="Ada")
        for state in ("ordered", *STEPS, "cancelled")
    }
    await workshop.clear(*views.values())
    for state, view in views.items():
        await workshop.decide(await workshop.prove(view))
        if state == "cancelled":
            await workshop.take_back(view)
        elif state != "ordered":
            await workshop.send(view, state)  # type: ignore[arg-type] # the other states are steps
    return {state: await workshop.seen(view) for state, view in views.items()}


async def test_every_act_in_every_state(workshop: Workshop) -> None:
    views = await in_every_state(workshop)
    assert {state: view.delivery.state for state, view in views.items()} == {state: state for state in ALLOWED}
    found = {state: tuple([await tried(workshop, act, view) for act in ACTS.values()]) for state, view in views.items()}
    assert found == ALLOWED


async def test_what_is_behind_a_delivery_changes_nothing(workshop: Workshop) -> None:
    """A request that comes again, or too late, is no fault of the workshop, and moves no piece twice."""
    views = await in_every_state(workshop)
    tables = ("deliveries", "goods_variants", "goods_movements", "outbox_events", "journal_entries", "redemptions")
    before = [await workshop.rows(f"select * from {table}") for table in tables]
    for state, view in views.items():
        for step in STEPS:
            if has_taken(state, step):
                (seen,) = await workshop.step(step, view, carrier="La Poste")
                assert (seen.delivery.state, seen.delivery.carrier) == (state, None)
    assert [await workshop.rows(f"select * from {table}") for table in tables] == before


@pytest.mark.parametrize(
    ("state", "taken"),
    [
        ("ordered", ()),
        ("prepared", ("prepared",)),
        ("shipped", ("prepared", "shipped")),
        ("delivered", ("prepared", "shipped", "delivered")),
        ("returned", STEPS),
        ("cancelled", ()),
    ],
)
def test_a_step_is_behind_where_it_led(state: str, taken: tuple[Step, ...]) -> None:
    assert tuple(step for step in STEPS if has_taken(state, step)) == taken


async def test_the_rest_of_a_list_goes_on_without_what_is_ahead(workshop: Workshop) -> None:
    stocked = await workshop.stock(pieces=20)
    reward = await workshop.bring(stocked, price_tokens=5)
    ahead, behind = [await workshop.order(reward, stocked.variants[0].sku) for _ in range(2)]
    await workshop.clear(ahead, behind)
    await workshop.send(ahead, "shipped")
    views = await workshop.step("prepared", ahead, behind)
    assert [view.delivery.state for view in views] == ["shipped", "prepared"]
    with pytest.raises(HeldUpError, match="1 of 2") as refusal:
        await workshop.step("delivered", ahead, behind)
    assert [(error.pointer, error.code) for error in refusal.value.errors] == [("/deliveries/1", "state")]


@pytest.mark.parametrize("act", ACTS)
async def test_no_act_on_a_delivery_that_is_not_there(workshop: Workshop, act: str) -> None:
    async with transaction(workshop.engine) as session:
        with pytest.raises(NotFoundError):
            await ACTS[act](session, workshop, "dlv_none")


async def test_a_parcel_may_change_hands_and_keeps_what_is_not_said(workshop: Workshop) -> None:
    _, view = await workshop.cleared()

    async def take(step: Step, carrier: str | None, number: str | None) -> tuple[str | None, str | None]:
        passage = Passage(step, (Parcel(view.delivery.id, carrier, number),))
        async with transaction(workshop.engine) as session:
            (moved,) = await deliveries.take_step(session, passage, workshop.now, actor=ACTOR)
        return moved.delivery.carrier, moved.delivery.tracking_number

    assert await take("prepared", None, None) == (None, None)
    assert await take("shipped", "Colissimo", "6A0123") == ("Colissimo", "6A0123")
    assert await take("delivered", "La Poste", None) == ("La Poste", "6A0123")
    assert await take("returned", None, "RT-9") == ("La Poste", "RT-9")


async def test_a_refusal_says_what_is_wrong(workshop: Workshop) -> None:
    _, view = await workshop.cleared(terms={"personalisation": "text"}, marking_text="Ada")
    proof = await workshop.prove(view)

    async def decide(remarks: str | None, *, is_approved: bool) -> str:
        async with transaction(workshop.engine) as session:
            decided = await proofs.decide(
                session, proof.id, is_approved=is_approved, remarks=remarks, now=workshop.now, actor=ACTOR
            )
        return decided.state

    with pytest.raises(MereauError) as refusal:
        await decide(None, is_approved=False)
    assert [(error.pointer, error.code) for error in refusal.value.errors] == [("/remarks", "required")]
    assert (await workshop.seen(view)).delivery.proof == "submitted"
    assert await decide("Le nom est coupé.", is_approved=False) == "refused"


async def test_nobody_decides_on_a_proof_of_what_was_cancelled(workshop: Workshop) -> None:
    _, view = await workshop.cleared(terms={"personalisation": "text", "proof_by": "member"}, marking_text="Ada")
    first = await workshop.prove(view)
    await workshop.decide(first, is_approved=False)
    second = await workshop.prove(view)
    await workshop.take_back(view)
    for is_approved in (True, False):
        with pytest.raises(MereauError) as refusal:
            await workshop.decide(second, is_approved=is_approved)
        assert refusal.value.code == "proof_not_needed"
    assert (await workshop.decide(first, is_approved=False)).state == "refused"
    assert [event.subject_id for event in await workshop.events("proof.approved")] == []


async def test_who_may_not_see_a_proof_is_not_told_whether_it_needs_them(workshop: Workshop) -> None:
    _, view = await workshop.cleared(terms={"personalisation": "text"}, marking_text="Ada")
    proof = await workshop.prove(view)
    mine, theirs = [Reach(member_id=member) for member in workshop.members]
    with pytest.raises(ForbiddenError):
        await workshop.decide(proof, reach=mine)
    with pytest.raises(NotFoundError):
        await workshop.decide(proof, reach=theirs)
    assert (await workshop.decide(proof)).state == "approved"
