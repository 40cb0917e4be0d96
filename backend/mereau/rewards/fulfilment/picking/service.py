"""Pick lists."""

from collections.abc import Sequence
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.partners import service as partners
from mereau.rewards.fulfilment import repository as deliveries
from mereau.rewards.fulfilment.domain import Address
from mereau.rewards.fulfilment.models import DeliveryRecipient, PickList
from mereau.rewards.fulfilment.picking import repository
from mereau.rewards.fulfilment.picking.domain import Pick, pick_key

Session = ReadSession | WriteSession


async def create(session: WriteSession, partner_id: str, limit: int, now: datetime, *, actor: str) -> PickList:
    """A list of up to `limit` of the partner's oldest deliveries that are cleared and need no proof any more.

    A delivery is on one list at most. NotFoundError for an unknown partner; ConflictError where nothing is ready.
    """
    await partners.get(session, partner_id)
    pick_list = PickList(id=new_id("pck", now), partner_id=partner_id, created_by_key_id=actor, created_at=now)
    taken = await repository.add(session, pick_list, limit)
    if not taken:
        raise ConflictError("No delivery is ready to be prepared.")
    await journal.record(
        session,
        at=now,
        actor=actor,
        action="pick_list.created",
        subject_id=pick_list.id,
        detail={"deliveries": taken},
    )
    return pick_list


async def get(session: Session, pick_list_id: str, *, partner_id: str | None = None) -> PickList:
    """The list, if it is this partner's where one is given; else NotFoundError."""
    found = await repository.pick_list(session, pick_list_id, partner_id)
    if found is None:
        raise NotFoundError("There is no such pick list.")
    return found


async def picks(session: Session, pick_list_id: str) -> Sequence[Pick]:
    """What is to be picked, in the order of the shelves; four statements."""
    left = await repository.deliveries_of(session, pick_list_id)
    ids = [delivery.id for delivery in left]
    pieces = await deliveries.pieces(session, ids)
    recipients = await deliveries.recipients(session, ids)
    logos = await repository.with_logo(session, ids)
    found = [
        Pick(
            delivery_id=delivery.id,
            state=delivery.state,
            piece=piece,
            address=_address(recipients.get(delivery.id)),
            marking_text=recipient.marking_text if (recipient := recipients.get(delivery.id)) else None,
            has_logo=delivery.id in logos,
        )
        for delivery in left
        for piece in pieces[delivery.id]
    ]
    return sorted(found, key=pick_key)


def _address(recipient: DeliveryRecipient | None) -> Address | None:
    if recipient is None:
        return None
    return Address(
        name=recipient.name,
        line_1=recipient.line_1,
        line_2=recipient.line_2,
        postal_code=recipient.postal_code,
        city=recipient.city,
        country=recipient.country,
        phone=recipient.phone,
    )
