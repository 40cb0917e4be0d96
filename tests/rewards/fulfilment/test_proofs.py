"""The gate of the bon à tirer: what is marked leaves once somebody has approved how."""

import asyncio

import pytest

from factories.goods import ACTOR, PDF, Workshop
from mereau.auth.domain import Reach
from mereau.core.db import snapshot
from mereau.core.errors import ForbiddenError, MereauError, NotFoundError
from mereau.rewards.fulfilment import service as deliveries
from mereau.rewards.fulfilment.domain import FileDraft
from mereau.rewards.fulfilment.errors import HeldUpError, ProofDecidedError, ProofNotNeededError
from mereau.rewards.fulfilment.models import DeliveryProof
from mereau.rewards.fulfilment.proofs import service as proofs
from mereau.rewards.fulfilment.service import DeliveryView

LOGO = FileDraft("image/png", b"\x89PNG\r\n\x1a\nlogo")


async def engraved(workshop: Workshop, proof_by: str = "operator") -> DeliveryView:
    """A cleared delivery with a name on it, that waits in the workshop for its proof."""
    terms = {"personalisation": "text", "proof_by": proof_by}
    _, view = await workshop.cleared(terms=terms, marking_text="Camille")
    (view,) = await workshop.step("prepared", view)
    return view


async def test_a_marking_awaits_its_proof(workshop: Workshop) -> None:
    view = await engraved(workshop)
    assert view.delivery.proof == "awaited"
    with pytest.raises(HeldUpError) as refusal:
        await workshop.step("shipped", view)
    assert [(error.pointer, error.code) for error in refusal.value.errors] == [("/deliveries/0", "proof_not_approved")]


async def test_an_approved_proof_opens_the_gate(workshop: Workshop) -> None:
    view = await engraved(workshop)
    proof = await workshop.prove(view)
    with pytest.raises(HeldUpError):
        await workshop.step("shipped", view)
    decided = await workshop.decide(proof)
    assert (decided.state, decided.decided_by_key_id, decided.decided_at) == ("approved", "key_operator", workshop.now)
    (view,) = await workshop.step("shipped", view)
    assert view.delivery.state == "shipped"


async def test_a_refused_proof_is_made_again(workshop: Workshop) -> None:
    view = await engraved(workshop)
    refused = await workshop.decide(await workshop.prove(view), is_approved=False)
    assert (refused.state, refused.remarks) == ("refused", "Le nom est coupé.")
    with pytest.raises(HeldUpError):
        await workshop.step("shipped", view)
    second = await workshop.prove(view)
    await workshop.decide(second)
    async with snapshot(workshop.engine) as session:
        listed = await proofs.list_proofs(session, view.delivery.id, Reach())
    assert [proof.state for proof in listed] == ["approved", "refused"]
    await workshop.step("shipped", view)


async def test_a_new_proof_takes_the_place_of_one_that_waits(workshop: Workshop) -> None:
    view = await engraved(workshop)
    first = await workshop.prove(view)
    await workshop.prove(view)
    with pytest.raises(ProofDecidedError):
        await workshop.decide(first)
    again = await workshop.decide(first, is_approved=False)
    assert (again.state, again.remarks) == ("refused", "replaced")


async def test_a_decision_again_changes_nothing(workshop: Workshop) -> None:
    view = await engraved(workshop)
    proof = await workshop.prove(view)
    for _ in range(2):
        await workshop.decide(proof)
    assert len(await workshop.events("proof.approved")) == 1
    with pytest.raises(ProofDecidedError):
        await workshop.decide(proof, is_approved=False)


async def test_an_approved_proof_is_not_replaced(workshop: Workshop) -> None:
    """Otherwise something else could be shipped than what was approved."""
    view = await engraved(workshop)
    await workshop.decide(await workshop.prove(view))
    with pytest.raises(ProofNotNeededError):
        await workshop.prove(view)


async def test_what_is_not_marked_needs_no_proof(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    with pytest.raises(ProofNotNeededError):
        await workshop.prove(view)


async def test_what_was_cancelled_needs_no_proof(workshop: Workshop) -> None:
    stocked = await workshop.stock()
    reward = await workshop.bring(stocked, personalisation="text")
    view = await workshop.order(reward, stocked.variants[0].sku, marking_text="Ada")
    await workshop.take_back(view)
    with pytest.raises(ProofNotNeededError):
        await workshop.prove(view)


async def test_a_member_decides_where_it_is_left_to_them(workshop: Workshop) -> None:
    mine = Reach(member_id=workshop.members[0])
    kept, left = await engraved(workshop), await engraved(workshop, proof_by="member")
    with pytest.raises(ForbiddenError):
        await workshop.decide(await workshop.prove(kept), reach=mine)
    proof = await workshop.prove(left)
    with pytest.raises(NotFoundError):
        await workshop.decide(proof, reach=Reach(member_id=workshop.members[1]))
    assert (await workshop.decide(proof, reach=mine)).state == "approved"


async def test_proofs_are_seen_by_who_has_to_do_with_them(workshop: Workshop) -> None:
    view = await engraved(workshop)
    proof = await workshop.prove(view, reach=Reach(partner_id=workshop.partners[1].id))
    stranger = Reach(partner_id=workshop.partners[0].id)
    with pytest.raises(NotFoundError):
        await workshop.prove(view, reach=stranger)
    async with snapshot(workshop.engine) as session:
        assert (await proofs.file_of(session, proof.id, Reach())).content == PDF.content
        for look in (
            proofs.file_of(session, proof.id, stranger),
            proofs.list_proofs(session, view.delivery.id, stranger),
            proofs.get(session, "prf_none"),
        ):
            with pytest.raises(NotFoundError):
                await look


async def decision(workshop: Workshop, proof: DeliveryProof, *, is_approved: bool) -> str:
    try:
        return (await workshop.decide(proof, is_approved=is_approved)).state
    except MereauError as error:
        return error.code


async def test_two_who_decide_at_once_decide_one_thing(workshop: Workshop) -> None:
    view = await engraved(workshop)
    proof = await workshop.prove(view)
    results = await asyncio.gather(*(decision(workshop, proof, is_approved=place % 2 == 0) for place in range(4)))
    states = {result for result in results if result != "proof_decided"}
    assert len(states) == 1
    assert results.count("proof_decided") == 2
    assert (await workshop.seen(view)).delivery.proof in states


async def test_a_logo_is_kept_as_long_as_its_delivery_runs(workshop: Workshop) -> None:
    stocked = await workshop.stock()
    reward = await workshop.bring(stocked, personalisation="logo")
    sku = stocked.variants[0].sku
    view, plain = await workshop.order(reward, sku, logo=LOGO), await workshop.order(reward, sku)
    assert [one.delivery.proof for one in (view, plain)] == ["awaited", "none"]
    async with snapshot(workshop.engine) as session:
        assert (await deliveries.logo(session, view.delivery.id, Reach())).content == LOGO.content
        with pytest.raises(NotFoundError):
            await deliveries.logo(session, plain.delivery.id, Reach())
    proof = await workshop.prove(view)
    await workshop.take_back(view)
    await workshop.erase(view)
    async with snapshot(workshop.engine) as session:
        with pytest.raises(NotFoundError):
            await deliveries.logo(session, view.delivery.id, Reach())
        with pytest.raises(NotFoundError, match="erased"):
            await proofs.file_of(session, proof.id, Reach())


async def test_decisions_are_told_and_journalled(workshop: Workshop) -> None:
    view = await engraved(workshop)
    proof = await workshop.prove(view)
    await workshop.decide(proof)
    acts = await workshop.rows(
        "select actor, action from journal_entries where subject_id = :id order by id", id=proof.id
    )
    assert [tuple(act) for act in acts] == [(ACTOR, "proof.submitted"), ("key_operator", "proof.approved")]
    (event,) = await workshop.events("proof.submitted")
    assert event.payload["delivery_id"] == view.delivery.id
