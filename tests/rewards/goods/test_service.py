"""Goods and their stock on a real database: every piece is accounted for, whoever asks at the same time."""

import asyncio
from random import Random

import pytest

from factories.goods import ACTOR, Workshop
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, InvalidInputError, MereauError, NotFoundError
from mereau.rewards.errors import OutOfStockError
from mereau.rewards.goods import service as goods
from mereau.rewards.goods.domain import Movement, MovementKind
from mereau.rewards.goods.errors import NotApprovedError, StockTooLowError
from mereau.rewards.goods.offers import service as offers
from mereau.rewards.goods.offers.domain import OfferDraft
from mereau.rewards.goods.service import StockedGoods


async def test_goods_start_as_a_draft_with_empty_shelves(workshop: Workshop) -> None:
    made = await workshop.stock("S", "M", pieces=0, approved=False)
    assert (made.goods.status, made.goods.approved_at) == ("draft", None)
    assert [(one.size, one.on_hand, one.reserved) for one in made.variants] == [("M", 0, 0), ("S", 0, 0)]


async def test_who_approved_goods_is_kept(workshop: Workshop) -> None:
    made = await workshop.stock()
    assert (made.goods.status, made.goods.approved_by_key_id) == ("approved", "key_committee")
    assert made.goods.approved_at == workshop.now
    acts = await workshop.rows(
        "select action from journal_entries where subject_id = :id order by id", id=made.goods.id
    )
    assert [act.action for act in acts] == ["goods.created", "goods.approved"]


async def test_wrong_or_taken_goods_are_refused(workshop: Workshop) -> None:
    with pytest.raises(InvalidInputError):
        await workshop.stock("M", "M", external_id="TEE")
    with pytest.raises(NotFoundError):
        await workshop.stock(partner_id="par_none")
    made = await workshop.stock("M", external_id="TEE")
    with pytest.raises(ConflictError, match="taken"):
        await workshop.stock("M", external_id="TEE")
    with pytest.raises(ConflictError, match="taken"):
        await workshop.stock(external_id="MUG", variants=made.variants)
    assert len(await workshop.rows("select id from goods")) == 1


async def test_unknown_goods_are_not_found(workshop: Workshop) -> None:
    made = await workshop.stock()
    async with transaction(workshop.engine) as session:
        with pytest.raises(NotFoundError):
            await goods.set_status(session, "gds_none", "approved", workshop.now, actor=ACTOR)
        with pytest.raises(NotFoundError):
            await goods.get(session, made.goods.id, partner_id=workshop.partners[0].id)
        assert (await goods.get(session, made.goods.id, partner_id=workshop.partners[1].id)).goods.id == made.goods.id


async def test_goods_are_listed_by_age_for_who_keeps_them(workshop: Workshop) -> None:
    mine = [await workshop.stock("S", "M") for _ in range(3)]
    theirs = await workshop.stock(partner_id=workshop.partners[0].id)

    async def listed(**how: object) -> list[str]:
        async with snapshot(workshop.engine) as session:
            return [one.goods.id for one in await goods.list_goods(session, **how)]

    ids = sorted(one.goods.id for one in [*mine, theirs])
    assert await listed() == ids
    assert await listed(after_id=ids[0], limit=2) == ids[1:3]
    assert await listed(partner_id=workshop.partners[0].id) == [theirs.goods.id]


async def test_movements_by_sku_say_what_they_did(workshop: Workshop) -> None:
    made = await workshop.stock("M", pieces=10)
    sku = made.variants[0].sku

    async def by_sku(kind: MovementKind, pieces: int, sku: str = sku, partner: int = 1) -> int:
        async with transaction(workshop.engine) as session:
            variant = await goods.move_by_sku(
                session,
                made.goods.id,
                sku=sku,
                kind=kind,
                pieces=pieces,
                reason="inventory",
                now=workshop.now,
                actor=ACTOR,
                partner_id=workshop.partners[partner].id,
            )
        return variant.on_hand

    assert await by_sku(MovementKind.RECEIVED, 5) == 15
    assert await by_sku(MovementKind.COUNTED, 12) == 12
    assert await by_sku(MovementKind.WRITTEN_OFF, 2) == 10
    with pytest.raises(NotFoundError, match="MUG"):
        await by_sku(MovementKind.RECEIVED, 1, sku="MUG")
    with pytest.raises(NotFoundError):
        await by_sku(MovementKind.RECEIVED, 1, partner=0)
    async with snapshot(workshop.engine) as session:
        found = await goods.movements(session, made.goods.id, before_seq=None, limit=10)
        older = await goods.movements(session, made.goods.id, before_seq=found[1][0].seq, limit=10)
    assert [(one.kind, one.on_hand_change, sku) for one, sku in found] == [
        ("written_off", -2, sku),
        ("counted", -3, sku),
        ("received", 5, sku),
        ("received", 10, sku),
    ]
    assert [one.seq for one, _ in older] == [one.seq for one, _ in found[2:]]


async def test_refused_movements_change_nothing_at_all(workshop: Workshop) -> None:
    made = await workshop.stock("S", "M", pieces=3)
    first, second = (variant.id for variant in made.variants)
    wishes = [
        Movement(first, MovementKind.RESERVED, 2, "ordered"),
        Movement(second, MovementKind.RESERVED, 4, "ordered"),
    ]
    async with transaction(workshop.engine) as session:
        with pytest.raises(OutOfStockError) as refusal:
            await goods.move(session, wishes, workshop.now, actor=ACTOR)
        assert await goods.move(session, [], workshop.now, actor=ACTOR) == {}
    assert [(error.pointer, error.code) for error in refusal.value.errors] == [("/1", "stock")]
    assert [await workshop.levels(made, place) for place in (0, 1)] == [(3, 0), (3, 0)]
    await workshop.move(made, "reserved", 2)
    with pytest.raises(StockTooLowError, match="promised"):
        await workshop.move(made, "counted", 1)
    assert await workshop.levels(made) == (3, 2)


async def test_a_low_stock_is_told_once(workshop: Workshop) -> None:
    made = await workshop.stock("M", pieces=5, buffer=1, alert_at=2)
    for _ in range(3):
        await workshop.move(made, "reserved", 1)
    events = await workshop.events("goods.low_stock")
    assert [(event.subject_id, event.payload) for event in events] == [
        (made.goods.id, {"sku": made.variants[0].sku, "available": 2})
    ]


async def attempt(workshop: Workshop, made: StockedGoods, variants: list[int]) -> str:
    wishes = [Movement(made.variants[place].id, MovementKind.RESERVED, 1, "ordered") for place in variants]
    try:
        async with transaction(workshop.engine) as session:
            await goods.move(session, wishes, workshop.now, actor=ACTOR)
    except MereauError as error:
        return error.code
    return "reserved"


async def test_the_last_pieces_go_to_as_many_as_there_are(workshop: Workshop) -> None:
    made = await workshop.stock("M", pieces=5, buffer=2)
    results = await asyncio.gather(*(attempt(workshop, made, [0]) for _ in range(8)))
    assert sorted(results) == ["out_of_stock"] * 5 + ["reserved"] * 3
    assert await workshop.levels(made) == (5, 3)


async def test_kits_that_cross_wait_for_each_other(workshop: Workshop) -> None:
    """In whatever order two kits name their pieces, the variants are locked by id."""
    made = await workshop.stock("S", "M", pieces=4)
    results = await asyncio.gather(*(attempt(workshop, made, [place % 2, 1 - place % 2]) for place in range(8)))
    assert sorted(results) == ["out_of_stock"] * 4 + ["reserved"] * 4
    assert [await workshop.levels(made, place) for place in (0, 1)] == [(4, 4), (4, 4)]


async def test_the_movements_add_up_to_the_stock(workshop: Workshop) -> None:
    """Replay: whatever was tried, a variant's figures are the sums of its movements."""
    made = await workshop.stock("S", "M", pieces=6, buffer=1)
    random = Random(20826)
    kinds = [kind for kind in MovementKind if kind is not MovementKind.COUNTED]
    for _ in range(60):
        wishes = [
            Movement(random.choice(made.variants).id, random.choice(kinds), random.randint(1, 3), "random")
            for _ in range(random.randint(1, 3))
        ]
        try:
            async with transaction(workshop.engine) as session:
                await goods.move(session, wishes, workshop.now, actor=ACTOR)
        except MereauError:
            continue
    sums = await workshop.rows("""
        select v.on_hand - sum(m.on_hand_change) as on_hand, v.reserved - sum(m.reserved_change) as reserved
        from goods_variants v join goods_movements m on m.variant_id = v.id group by v.id
    """)
    assert [tuple(row) for row in sums] == [(0, 0), (0, 0)]


async def test_a_kit_takes_approved_goods_of_the_gifts_partner(workshop: Workshop) -> None:
    tee, draft = await workshop.stock(), await workshop.stock(approved=False)
    foreign = await workshop.stock(partner_id=workshop.partners[0].id)
    with pytest.raises(NotApprovedError, match=draft.goods.external_id):
        await workshop.bring(tee, draft)
    with pytest.raises(InvalidInputError):
        await workshop.bring(tee, foreign)
    for reward_id in ("rwd_none", (await workshop.offer()).id):
        async with transaction(workshop.engine) as session:
            with pytest.raises(NotFoundError):
                await offers.put(session, reward_id, OfferDraft(), workshop.now, actor=ACTOR)


async def test_a_gift_brings_what_its_terms_name(workshop: Workshop) -> None:
    tee, mug = await workshop.stock(), await workshop.stock()
    foreign = await workshop.stock(partner_id=workshop.partners[0].id)
    offer = await workshop.look(await workshop.bring((mug, foreign, tee)))
    assert [slot.goods_ids for slot in offer.slots] == [(mug.goods.id, tee.goods.id)]
    assert (offer.personalisation, offer.proof_by) == ("none", "operator")


async def test_how_a_gift_is_delivered_can_be_replaced(workshop: Workshop) -> None:
    tee, mug, cap = [await workshop.stock() for _ in range(3)]
    reward = await workshop.bring(tee, (mug, cap))
    first = await workshop.look(reward)
    assert [set(slot.goods_ids) for slot in first.slots] == [{tee.goods.id}, {mug.goods.id, cap.goods.id}]
    await workshop.deliver(reward, personalisation="text", proof_by="member")
    second = await workshop.look(reward)
    assert [slot.goods_ids for slot in second.slots] == [(tee.goods.id,)]
    assert (second.personalisation, second.proof_by) == ("text", "member")
