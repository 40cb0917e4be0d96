"""Publishing and reading domain events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from mereau.core.db import WriteSession
from mereau.core.ids import new_id
from mereau.outbox import repository
from mereau.outbox.models import OutboxEvent


@dataclass(frozen=True, slots=True)
class Event:
    """What happened (`type`, e.g. `entry.final`), to what, and what a reader needs to act on it."""

    type: str
    subject_id: str
    payload: Mapping[str, object]


async def publish(session: WriteSession, events: Sequence[Event], now: datetime) -> None:
    """Append events to the session's transaction: they exist if and only if it commits."""
    if not events:
        return
    await repository.append(
        session,
        (
            (new_id("evt", now), event.type, event.subject_id, orjson.dumps(event.payload).decode(), now)
            for event in events
        ),
    )


async def read_after(session: WriteSession, consumer: str, limit: int) -> list[OutboxEvent]:
    """The next events of a consumer, in the order in which they were written; none is ever skipped.

    Events above one that a running transaction may still write are held back. Locks the consumer's place
    until the transaction ends: handle the events and `advance` in the same transaction, and each event is
    handled exactly once however many workers run.
    """
    place = await repository.lock_place(session, consumer)
    upto = await repository.horizon(session)
    return await repository.events_between(session, place, upto, limit)


async def advance(session: WriteSession, consumer: str, seq: int) -> None:
    """Note that `consumer` has handled everything up to `seq`; a place never moves back."""
    await repository.move_place(session, consumer, seq)
