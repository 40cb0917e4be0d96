"""Codes on objects: shown once, found by anybody, activated once, passed on before, taken back once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from factories.goods import ACTOR, Workshop
from mereau.auth.domain import Reach
from mereau.core.codes import CODE_LENGTH
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, InvalidInputError, MereauError, NotFoundError
from mereau.rewards.fulfilment.service import DeliveryView
from mereau.rewards.objects import service as objects
from mereau.rewards.objects.domain import GoodsFigures, Outcome, Story, landing, unknown
from mereau.rewards.objects.errors import ActivatedError, AlreadyMarkedError
from mereau.rewards.objects.models import GoodsObject

DAY = timedelta(days=1)


async def mark(workshop: Workshop, view: DeliveryView, line: int = 1, **options: Any) -> list[str]:
    async with transaction(workshop.engine) as session:
        marked = await objects.mark(session, view.delivery.id, line, workshop.now, actor=ACTOR, **options)
    return [one.code for one in marked]


async def sent(workshop: Workshop) -> tuple[DeliveryView, str]:
    """A delivery that has left, and the code of its object."""
    _, view = await workshop.cleared()
    (code,) = await mark(workshop, view)
    return await workshop.send(view, "shipped"), code


async def activate(workshop: Workshop, code: str, member: int = 0) -> GoodsObject:
    async with transaction(workshop.engine) as session:
        return await objects.activate(session, code, workshop.members[member], workshop.now)


async def pass_on(workshop: Workshop, code: str, to: str, member: int | None = 0) -> GoodsObject:
    member_id = None if member is None else workshop.members[member]
    async with transaction(workshop.engine) as session:
        return await objects.transfer(session, code, to, workshop.now, actor="key_member", member_id=member_id)


async def bring_back(workshop: Workshop, code: str, outcome: Outcome = "recycled", partner: int = 1) -> GoodsObject:
    async with transaction(workshop.engine) as session:
        return await objects.take_back(
            session, code, outcome, workshop.now, actor=ACTOR, partner_id=workshop.partners[partner].id
        )


async def test_each_piece_gets_a_code_of_its_own_once(workshop: Workshop) -> None:
    tee, pins = await workshop.stock(), await workshop.stock()
    reward = await workshop.bring(tee, pins)
    await workshop.write("update goods_offer_items set pieces = 3")
    view = await workshop.order(reward, tee.variants[0].sku, pins.variants[0].sku)
    codes = await mark(workshop, view, line=2)
    assert len(set(codes)) == 3
    assert {len(code.replace("-", "")) for code in codes} == {CODE_LENGTH}
    with pytest.raises(AlreadyMarkedError):
        await mark(workshop, view, line=2)
    assert len(await mark(workshop, view, line=1)) == 1
    with pytest.raises(NotFoundError):
        await mark(workshop, view, line=3)


async def test_the_tables_hold_digests_alone(workshop: Workshop) -> None:
    _, code = await sent(workshop)
    await activate(workshop, code)
    for table in ("goods_objects", "outbox_events", "journal_entries"):
        text = str(await workshop.rows(f"select * from {table}"))
        assert code not in text
        assert code.replace("-", "") not in text


async def test_codes_are_for_who_sends_and_before_it_leaves(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    with pytest.raises(NotFoundError):
        await mark(workshop, view, reach=Reach(partner_id=workshop.partners[0].id))
    await workshop.send(view, "shipped")
    with pytest.raises(ConflictError, match="shipped"):
        await mark(workshop, view)


async def test_hands_side_by_side_mark_once(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    results = await asyncio.gather(*(mark(workshop, view) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, list) for result in results) == 1
    assert sum(isinstance(result, AlreadyMarkedError) for result in results) == 3


async def test_a_code_tells_what_the_object_is_and_not_whose(workshop: Workshop) -> None:
    _, code = await sent(workshop)
    async with snapshot(workshop.engine) as session:
        for spelling in (code, code.lower(), code.replace("-", "")):
            assert await objects.story(session, spelling) == Story("Un tee-shirt", "A T-shirt", None, None)
        for wrong in ("7K2M-9QRT-4VWX-0Z1A", "", "x" * 500, "<script>"):
            assert await objects.story(session, wrong) is None


def test_a_page_escapes_what_it_says() -> None:
    story = Story("<b>Tee</b>", "Tee", "Du <i>coton</i>\n\nLavable", "Cotton")
    title, body = landing(story, "7K2M", "fr")
    assert title == "<b>Tee</b>"
    assert "<p>Du &lt;i&gt;coton&lt;/i&gt;</p><p>Lavable</p>" in body
    assert 'href="?lang=en"' in body
    assert landing(story, "7K2M", "en")[0] == "Tee"
    assert unknown("fr")[0] == "Code inconnu"
    assert unknown("en")[0] == "Unknown code"


async def test_activation_is_told_once(workshop: Workshop) -> None:
    view, code = await sent(workshop)
    first = await activate(workshop, code)
    workshop.now += DAY
    again = await activate(workshop, code)
    assert first.activated_at == again.activated_at
    (event,) = await workshop.events("object.activated")
    assert (event.subject_id, event.payload["member_id"]) == (first.id, workshop.members[0])
    assert event.payload["delivery_id"] == view.delivery.id


async def refusal(action: Any) -> tuple[type[Exception], str]:
    with pytest.raises(MereauError) as refused:
        await action
    return refused.type, str(refused.value)


async def test_unknown_used_and_foreign_codes_are_one_answer(workshop: Workshop) -> None:
    _, foreign = await sent(workshop)
    _, gone = await sent(workshop)
    _, waiting = await workshop.cleared(member=1)
    (unsent,) = await mark(workshop, waiting)
    await bring_back(workshop, gone)
    answers = [
        await refusal(activate(workshop, "7K2M-9QRT-4VWX-0Z1A")),
        await refusal(activate(workshop, "nonsense")),
        await refusal(activate(workshop, foreign, member=1)),
        await refusal(activate(workshop, gone)),
        await refusal(activate(workshop, unsent, member=1)),
        await refusal(bring_back(workshop, gone)),
        await refusal(bring_back(workshop, foreign, partner=0)),
        await refusal(pass_on(workshop, foreign, "M0", member=1)),
    ]
    assert set(answers) == {(NotFoundError, "There is no such object.")}


async def test_many_who_activate_at_once_tell_it_once(workshop: Workshop) -> None:
    _, code = await sent(workshop)
    results = await asyncio.gather(*(activate(workshop, code, place % 2) for place in range(6)), return_exceptions=True)
    assert sum(isinstance(result, GoodsObject) for result in results) == 3
    assert len(await workshop.events("object.activated")) == 1


async def test_an_object_is_passed_on_before_it_is_activated(workshop: Workshop) -> None:
    _, code = await sent(workshop)
    passed = await pass_on(workshop, code, "M1")
    assert passed.owner_member_id == workshop.members[1]
    with pytest.raises(NotFoundError):
        await activate(workshop, code, member=0)
    await activate(workshop, code, member=1)
    with pytest.raises(ActivatedError):
        await pass_on(workshop, code, "M0", member=1)
    with pytest.raises(ActivatedError):
        await pass_on(workshop, code, "M0", member=None)
    acts = await workshop.rows("select detail from journal_entries where action = 'object.transferred'")
    assert [act.detail for act in acts] == [{"from": workshop.members[0], "to": workshop.members[1]}]


async def test_an_object_is_passed_on_to_members_alone(workshop: Workshop) -> None:
    _, code = await sent(workshop)
    with pytest.raises(InvalidInputError):
        await pass_on(workshop, code, "nobody")
    await workshop.write("update members set status = 'blocked' where external_id = 'M1'")
    with pytest.raises(InvalidInputError):
        await pass_on(workshop, code, "M1")
    assert (await pass_on(workshop, code, "M0")).owner_member_id == workshop.members[0]
    assert await workshop.rows("select id from journal_entries where action = 'object.transferred'") == []


async def test_passing_on_and_activating_at_once_is_one_order_of_both(workshop: Workshop) -> None:
    _, code = await sent(workshop)
    activated, passed = await asyncio.gather(
        activate(workshop, code), pass_on(workshop, code, "M1"), return_exceptions=True
    )
    kinds = {type(activated), type(passed)}
    assert kinds in ({GoodsObject, ActivatedError}, {NotFoundError, GoodsObject})


async def test_an_object_comes_back_once(workshop: Workshop) -> None:
    _, code = await sent(workshop)
    await activate(workshop, code)
    results = await asyncio.gather(*(bring_back(workshop, code, "reused") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, GoodsObject) for result in results) == 1
    (event,) = await workshop.events("object.taken_back")
    assert (event.payload["member_id"], event.payload["outcome"]) == (workshop.members[0], "reused")


async def test_figures_say_what_became_of_goods(workshop: Workshop) -> None:
    view, code = await sent(workshop)
    other = await workshop.stock(partner_id=workshop.partners[0].id)
    await activate(workshop, code)
    workshop.now += 10 * DAY
    await bring_back(workshop, code, "upcycled")
    await workshop.step("returned", view)

    async def figures(**period: Any) -> list[GoodsFigures]:
        bounds = {"since": None, "until": None} | period
        async with snapshot(workshop.engine) as session:
            return await objects.figures(session, **bounds)

    piece = view.pieces[0]
    nothing = dict.fromkeys(("reused", "recycled", "discarded"), 0)
    whole = {"pieces_shipped": 1, "pieces_returned": 1, "objects_activated": 1, "upcycled": 1}
    found = {one.goods_id: one for one in await figures()}
    mine, theirs = found[piece.goods_id], found[other.goods.id]
    assert mine == GoodsFigures(piece.goods_id, piece.goods_external_id, **whole, **nothing)
    assert (theirs.external_id, theirs.pieces_shipped) == (other.goods.external_id, 0)
    (early,) = await figures(until=workshop.now - DAY, partner_id=workshop.partners[1].id)
    assert (early.pieces_shipped, early.pieces_returned, early.objects_activated, early.upcycled) == (1, 0, 1, 0)
    (late,) = await figures(since=workshop.now, partner_id=workshop.partners[1].id)
    assert (late.pieces_shipped, late.pieces_returned, late.objects_activated, late.upcycled) == (0, 1, 0, 1)
