"""Objects with a code: made for a parcel, opened by anybody, activated once by their owner, taken back once.

A code that is unknown, used or somebody else's is one NotFoundError: codes cannot be tried out.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mereau.auth.domain import EVERYTHING, Reach
from mereau.core import codes
from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.members import service as members
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.rewards.fulfilment import repository as deliveries
from mereau.rewards.fulfilment.domain import OPEN, OUT
from mereau.rewards.objects import repository
from mereau.rewards.objects.domain import GoodsFigures, Outcome, Story
from mereau.rewards.objects.errors import ActivatedError, AlreadyMarkedError
from mereau.rewards.objects.models import GoodsObject

Session = ReadSession | WriteSession

_EVER: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class MarkedObject:
    """An object and the one time that its code is shown."""

    object: GoodsObject
    code: str


def _unknown() -> NotFoundError:
    return NotFoundError("There is no such object.")


def _digest(code: str) -> bytes:
    digest = codes.digest_of(code)
    if digest is None:
        raise _unknown()
    return digest


async def mark(
    session: WriteSession,
    delivery_id: str,
    line_number: int,
    now: datetime,
    *,
    actor: str,
    reach: Reach = EVERYTHING,
) -> Sequence[MarkedObject]:
    """Give each piece of a delivery's line a code of 80 random bits, to be printed: it is shown this once.

    NotFoundError for a delivery or line that the caller may not see; AlreadyMarkedError for the second time;
    ConflictError once the parcel has left. Locks the delivery.
    """
    delivery = await deliveries.delivery(session, delivery_id, reach, lock=True)
    line = None if delivery is None else await repository.line_of(session, delivery_id, line_number)
    if delivery is None or line is None:
        raise NotFoundError("There is no such line of a delivery.")
    if await repository.is_marked(session, delivery_id, line_number):
        raise AlreadyMarkedError("The codes of these pieces were given out before.")
    if delivery.state not in OPEN:
        raise ConflictError(f"The delivery is {delivery.state}.")
    variant_id, pieces = line
    marked = []
    for _ in range(pieces):
        code = codes.format_code(secrets.token_bytes(codes.CODE_BYTES))
        made = GoodsObject(
            id=new_id("obj", now),
            delivery_id=delivery_id,
            line_number=line_number,
            variant_id=variant_id,
            partner_id=delivery.partner_id,
            owner_member_id=delivery.member_id,
            code_digest=_digest(code),
            created_at=now,
        )
        marked.append(MarkedObject(made, code))
    await repository.add(session, [one.object for one in marked])
    detail = {"line_number": line_number, "pieces": pieces}
    await journal.record(session, at=now, actor=actor, action="objects.marked", subject_id=delivery_id, detail=detail)
    return marked


async def story(session: Session, code: str) -> Story | None:
    """What everybody may read of the object with this code; None where there is none."""
    digest = codes.digest_of(code)
    return None if digest is None else await repository.story(session, digest)


async def activate(session: WriteSession, code: str, member_id: str, now: datetime) -> GoodsObject:
    """Activate what an object promises: `object.activated` is published once. Its owner may repeat it.

    NotFoundError for every code that this member cannot activate, and while the parcel has not left. Locks the
    object: of two who activate at a time, one publishes.
    """
    found = await repository.by_digest(session, _digest(code), lock=True)
    if found is None or found.owner_member_id != member_id or found.taken_back_at is not None:
        raise _unknown()
    if found.activated_at is not None:
        return found
    delivery = await deliveries.delivery(session, found.delivery_id, EVERYTHING)
    if delivery is None or delivery.state not in OUT:
        raise _unknown()
    found.activated_at = now
    await session.flush()
    await _publish(session, "object.activated", found, now)
    return found


async def _publish(session: WriteSession, kind: str, found: GoodsObject, now: datetime) -> None:
    goods_id, external_id = await repository.goods_of(session, found.variant_id)
    payload: dict[str, object] = {
        "member_id": found.owner_member_id,
        "partner_id": found.partner_id,
        "delivery_id": found.delivery_id,
        "goods_id": goods_id,
        "goods_external_id": external_id,
    }
    if found.outcome is not None:
        payload["outcome"] = found.outcome
    await outbox.publish(session, [Event(kind, found.id, payload)], now)


async def transfer(
    session: WriteSession, code: str, to_external_id: str, now: datetime, *, actor: str, member_id: str | None
) -> GoodsObject:
    """Pass an object on to another member before it is activated; `member_id` None is the operator.

    NotFoundError for a code that is not the member's; ActivatedError once it is activated; InvalidInputError
    where there is no such other member. Locks the object.
    """
    found = await repository.by_digest(session, _digest(code), lock=True)
    if found is None or found.taken_back_at is not None or member_id not in {None, found.owner_member_id}:
        raise _unknown()
    if found.activated_at is not None:
        raise ActivatedError("What is activated stays with its owner.")
    heir = await members.find_by_external_id(session, to_external_id)
    if heir is None or heir.status != "active":
        raise InvalidInputError("There is no such member.")
    if heir.id != found.owner_member_id:
        detail = {"from": found.owner_member_id, "to": heir.id}
        found.owner_member_id = heir.id
        await session.flush()
        await journal.record(
            session, at=now, actor=actor, action="object.transferred", subject_id=found.id, detail=detail
        )
    return found


async def take_back(
    session: WriteSession,
    code: str,
    outcome: Outcome,
    now: datetime,
    *,
    actor: str,
    partner_id: str | None = None,
) -> GoodsObject:
    """Take an object back at the end of its life; `object.taken_back` is published once, for its owner.

    NotFoundError for every code that is no object of the partner's, came back before, or never left: what it
    earns is for what was given away. Locks the object.
    """
    found = await repository.take_back(session, _digest(code), partner_id, outcome, now)
    if found is None:
        raise _unknown()
    await _publish(session, "object.taken_back", found, now)
    detail = {"outcome": outcome}
    await journal.record(session, at=now, actor=actor, action="object.taken_back", subject_id=found.id, detail=detail)
    return found


async def figures(
    session: Session, *, since: datetime | None, until: datetime | None, partner_id: str | None = None
) -> list[GoodsFigures]:
    """What became of each goods from `since` until before `until`, both optional."""
    return await repository.figures(session, since or _EVER[0], until or _EVER[1], partner_id)
