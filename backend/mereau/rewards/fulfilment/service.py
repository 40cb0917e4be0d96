"""Deliveries: ordered with their redemption, made ready by a workshop, sent, and perhaps sent back.

Pieces are reserved in the transaction that holds the tokens. Nothing is prepared before the burn is final, and
nothing that is marked is shipped before its proof is approved. What is shipped counts as used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from mereau.auth.domain import EVERYTHING, Reach
from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.journal.service import Record
from mereau.outbox import service as outbox
from mereau.outbox.models import OutboxEvent
from mereau.outbox.service import Event
from mereau.rewards import service as rewards
from mereau.rewards.errors import NotCancellableError, RedeemedOtherwiseError
from mereau.rewards.fulfilment import domain, repository
from mereau.rewards.fulfilment.domain import ENDED, OPEN, FileDraft, OrderDraft, Parcel, Passage, Piece, Standing
from mereau.rewards.fulfilment.errors import HeldUpError
from mereau.rewards.fulfilment.models import Delivery, DeliveryFile, DeliveryLine, DeliveryRecipient
from mereau.rewards.goods import service as goods
from mereau.rewards.goods.domain import Movement, MovementKind
from mereau.rewards.goods.offers import service as offers
from mereau.rewards.kinds.domain import Asked
from mereau.rewards.refunds import service as refunds
from mereau.rewards.service import Wish

Session = ReadSession | WriteSession

# What may become of a redemption, apart from its grant: whatever has not left stays here.
_ENDINGS = {f"redemption.{word}": word for word in ("rejected", "cancelled", "refunded", "expired", "used")}


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery with what is in it and, until it is erased, to whom it goes."""

    delivery: Delivery
    pieces: Sequence[Piece]
    recipient: DeliveryRecipient | None


@dataclass(slots=True)
class _Shelves:
    """The stockroom of one order: all pieces of its parcel, reserved where the redemption asks for its own."""

    movements: Sequence[Movement]
    actor: str
    redemption_id: str | None = None

    async def reserve(self, session: WriteSession, parcel: rewards.Parcel, now: datetime) -> None:
        await goods.move(session, self.movements, now, actor=self.actor)
        self.redemption_id = parcel.redemption_id


async def order(session: WriteSession, member_id: str, draft: OrderDraft, now: datetime, *, actor: str) -> DeliveryView:
    """Reserve the pieces, redeem the reward and note where it goes, or nothing of it.

    Idempotent by (member, external id), as `rewards.redeem`, whose refusals it has; besides, OutOfStockError for
    the pieces, InvalidInputError for a choice or a marking that does not fit, NotFoundError where the reward
    brings no goods. Locks what `rewards.redeem` locks, then the variants.
    """
    if draft.external_id is not None:
        known = await repository.by_reference(session, member_id, draft.external_id)
        if known is not None:
            if known[1] != draft.reward_id:
                raise RedeemedOtherwiseError(f"The reference {draft.external_id} names {known[0]}.")
            return await get(session, known[0])
    offer = await offers.get(session, draft.reward_id)
    chosen = offers.chosen(offer, draft.skus)
    if errors := list(domain.marking_findings(draft, offer.personalisation)):
        raise InvalidInputError("The personalisation does not fit; see errors.", errors=errors)
    delivery_id = new_id("dlv", now)
    movements = [
        Movement(choice.variant_id, MovementKind.RESERVED, pieces, "ordered", delivery_id) for choice, pieces in chosen
    ]
    shelves = _Shelves(movements, actor)
    first, _ = chosen[0]
    asked = Asked(goods=first.goods_external_id, options=dict(first.options))
    wish = Wish(member_id, draft.reward_id, draft.external_id, asked=asked)
    redemption = await rewards.redeem(session, wish, now, stockroom=shelves, actor=actor)
    if shelves.redemption_id != redemption.id:
        raise RedeemedOtherwiseError(
            f"The reference {draft.external_id} names {redemption.id}, which is not delivered."
        )
    delivery = Delivery(
        id=delivery_id,
        redemption_id=redemption.id,
        member_id=member_id,
        partner_id=redemption.partner_id,
        reward_id=redemption.reward_id,
        state="ordered",
        proof="none" if draft.marking_text is None and draft.logo is None else "awaited",
        proof_by=offer.proof_by,
        created_at=now,
        changed_at=now,
    )
    lines = [
        DeliveryLine(delivery_id=delivery_id, line_number=place, variant_id=choice.variant_id, pieces=pieces)
        for place, (choice, pieces) in enumerate(chosen, 1)
    ]
    recipient = DeliveryRecipient(delivery_id=delivery_id, **asdict(draft.address), marking_text=draft.marking_text)
    await repository.add(session, delivery, lines, recipient, _file(delivery_id, "logo", draft.logo, now))
    await _tell(session, [delivery], "ordered", now, actor)
    return await get(session, delivery_id)


def _file(delivery_id: str, kind: str, draft: FileDraft | None, now: datetime) -> DeliveryFile | None:
    if draft is None:
        return None
    return DeliveryFile(
        id=new_id("fil", now),
        delivery_id=delivery_id,
        kind=kind,
        media_type=draft.media_type,
        content=draft.content,
    )


async def _tell(session: WriteSession, deliveries: Sequence[Delivery], word: str, now: datetime, actor: str) -> None:
    """Publish and journal what happened to deliveries; nothing personal is in it."""
    about: dict[str, dict[str, object]] = {
        delivery.id: {
            "member_id": delivery.member_id,
            "redemption_id": delivery.redemption_id,
            "reward_id": delivery.reward_id,
            "partner_id": delivery.partner_id,
        }
        for delivery in deliveries
    }
    await outbox.publish(session, [Event(f"delivery.{word}", id_, payload) for id_, payload in about.items()], now)
    await journal.record_many(
        session, [Record(now, actor, f"delivery.{word}", id_, payload) for id_, payload in about.items()]
    )


async def get(session: Session, delivery_id: str, reach: Reach = EVERYTHING) -> DeliveryView:
    """The delivery, if the caller may see it; else NotFoundError."""
    delivery = await repository.delivery(session, delivery_id, reach)
    if delivery is None:
        raise NotFoundError("There is no such delivery.")
    return (await _views(session, [delivery]))[0]


async def list_deliveries(
    session: Session, reach: Reach, *, before_id: str | None, limit: int, state: str | None
) -> list[DeliveryView]:
    """Deliveries that the caller may see, the newest first; three statements."""
    return await _views(session, await repository.deliveries_before(session, before_id, limit, reach, state))


async def _views(session: Session, deliveries: Sequence[Delivery]) -> list[DeliveryView]:
    ids = [delivery.id for delivery in deliveries]
    pieces = await repository.pieces(session, ids)
    recipients = await repository.recipients(session, ids)
    return [DeliveryView(delivery, pieces[delivery.id], recipients.get(delivery.id)) for delivery in deliveries]


async def logo(session: Session, delivery_id: str, reach: Reach) -> DeliveryFile:
    """The logo that came with the order; NotFoundError where there is none, or none any more."""
    await get(session, delivery_id, reach)
    found = await repository.logo(session, delivery_id)
    if found is None:
        raise NotFoundError("There is no logo.")
    return found


async def take_step(
    session: WriteSession, passage: Passage, now: datetime, *, actor: str, partner_id: str | None = None
) -> list[DeliveryView]:
    """Let deliveries take a step together, all or none; those that have taken it before are left as they are.

    NotFoundError where one is not the partner's; HeldUpError names each that cannot, and why. What is shipped
    leaves the stock and uses its redemption; what returns comes back to the stock, or is written off where it
    shall not be given away again. Locks deliveries, redemptions, variants.
    """
    parcels, locked = await _those_of(session, passage, partner_id)
    moving = [parcel for parcel in parcels if not domain.has_taken(locked[parcel.delivery_id].state, passage.step)]
    errors = [
        FieldError(f"/deliveries/{place}", *found)
        for place, parcel in enumerate(moving)
        if (found := domain.hindrance(_standing(locked[parcel.delivery_id]), passage.step))
    ]
    if errors:
        raise HeldUpError(f"{len(errors)} of {len(moving)} deliveries are held up; none was moved.", errors=errors)
    going = [locked[parcel.delivery_id] for parcel in moving]
    if going:
        if passage.step == "shipped":
            await _honour(session, going, now, actor)
        await _move_goods(session, going, passage, now, actor)
        await repository.advance(session, moving, passage.step, now)
        await _tell(session, going, passage.step, now, actor)
    return await _fresh(session, locked)


async def _fresh(session: WriteSession, locked: Mapping[str, Delivery]) -> list[DeliveryView]:
    return await _views(session, list((await repository.lock_many(session, list(locked), None)).values()))


async def _those_of(
    session: WriteSession, passage: Passage, partner_id: str | None
) -> tuple[Sequence[Parcel], dict[str, Delivery]]:
    if passage.pick_list_id is not None:
        locked = await repository.lock_pick_list(session, passage.pick_list_id, partner_id)
        if not locked:
            raise NotFoundError("There is no such pick list, or nothing is left of it.")
        return [Parcel(id_) for id_ in locked], locked
    ids = [parcel.delivery_id for parcel in passage.parcels]
    locked = await repository.lock_many(session, ids, partner_id)
    if unknown := [place for place, id_ in enumerate(ids) if id_ not in locked]:
        errors = [FieldError(f"/deliveries/{place}/id", "unknown", "No such delivery.") for place in unknown]
        raise NotFoundError("There is no such delivery.", errors=errors)
    return passage.parcels, locked


def _standing(delivery: Delivery) -> Standing:
    return Standing(delivery.state, delivery.cleared_at is not None, delivery.proof)


async def _move_goods(
    session: WriteSession, deliveries: Sequence[Delivery], passage: Passage, now: datetime, actor: str
) -> None:
    kinds = {
        "shipped": [MovementKind.SHIPPED],
        "returned": [MovementKind.RETURNED] if passage.restock else [MovementKind.RETURNED, MovementKind.WRITTEN_OFF],
    }.get(passage.step, [])
    await goods.move(session, await _movements(session, deliveries, kinds, passage.step), now, actor=actor)


async def _movements(
    session: WriteSession, deliveries: Sequence[Delivery], kinds: Sequence[MovementKind], reason: str
) -> list[Movement]:
    if not kinds:
        return []
    pieces = await repository.pieces(session, [delivery.id for delivery in deliveries])
    return [
        Movement(piece.variant_id, kind, piece.pieces, reason, delivery_id)
        for delivery_id, held in pieces.items()
        for piece in held
        for kind in kinds
    ]


async def _honour(session: WriteSession, deliveries: Sequence[Delivery], now: datetime, actor: str) -> None:
    """Use the redemptions of what is shipped; HeldUpError where one was used, refunded or expired meanwhile."""
    ids = [delivery.redemption_id for delivery in deliveries]
    used = await repository.honour(session, ids, actor, now)
    if lost := [delivery for delivery in deliveries if delivery.redemption_id not in used]:
        raise HeldUpError(f"The redemption of {lost[0].id} is not granted any more.")
    said = [
        Event("redemption.used", id_, {"partner_id": partner_id, "tokens": tokens, "member_id": member_id})
        for id_, (member_id, partner_id, tokens) in used.items()
    ]
    await outbox.publish(session, said, now)


async def cancel(
    session: WriteSession, delivery_id: str, reason: str, now: datetime, *, actor: str, reach: Reach = EVERYTHING
) -> DeliveryView:
    """Take an order back before it is shipped: pieces are free again and the tokens come back; idempotent.

    NotFoundError for what the caller may not see; NotCancellableError once it has left, and what
    `refunds.undo` refuses. Locks the delivery, what `refunds.undo` locks, then the variants.
    """
    delivery = await repository.delivery(session, delivery_id, reach, lock=True)
    if delivery is None:
        raise NotFoundError("There is no such delivery.")
    if delivery.state == "cancelled":
        return await get(session, delivery_id)
    if delivery.state not in OPEN:
        raise NotCancellableError(f"The delivery is {delivery.state}.")
    await refunds.undo(session, delivery.redemption_id, reason, now, actor=actor)
    await _release(session, [(delivery, reason)], now, actor)
    return await get(session, delivery_id)


async def _release(session: WriteSession, cancelled: Sequence[tuple[Delivery, str]], now: datetime, actor: str) -> None:
    deliveries = [delivery for delivery, _ in cancelled]
    movements = await _movements(session, deliveries, [MovementKind.RELEASED], "cancelled")
    await goods.move(session, movements, now, actor=actor)
    await repository.cancel(session, [(delivery.id, reason) for delivery, reason in cancelled], now)
    await _tell(session, deliveries, "cancelled", now, actor)


async def on_events(session: WriteSession, events: Sequence[OutboxEvent], now: datetime) -> None:
    """Follow the redemptions: a grant clears its delivery for the workshop, any other end cancels it.

    Safe to repeat, in a constant number of statements. Locks the deliveries that have not left, their variants.
    """
    ends = {event.subject_id: _ENDINGS[event.type] for event in events if event.type in _ENDINGS}
    granted = {event.subject_id for event in events if event.type == "redemption.granted"} - ends.keys()
    if granted:
        await repository.clear(session, sorted(granted), now)
    if ends:
        stopped = await repository.lock_open(session, sorted(ends))
        if stopped:
            reasons = [(delivery, f"redemption_{ends[delivery.redemption_id]}") for delivery in stopped]
            await _release(session, reasons, now, "redemptions")


async def erase(
    session: WriteSession, delivery_id: str, now: datetime, *, actor: str, reach: Reach = EVERYTHING
) -> None:
    """Forget address, marking and files of a delivery that has ended; ConflictError while they are needed."""
    delivery = await repository.delivery(session, delivery_id, reach, lock=True)
    if delivery is None:
        raise NotFoundError("There is no such delivery.")
    if delivery.state not in ENDED:
        raise ConflictError(f"The delivery is {delivery.state}: its address is still needed.")
    await repository.erase(session, delivery_id)
    await journal.record(session, at=now, actor=actor, action="delivery.erased", subject_id=delivery_id, detail={})
