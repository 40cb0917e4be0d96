"""SQL of the outbox: appending, the horizon below which no row can still appear, the readers' places."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select, text

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.outbox.models import OutboxCursor, OutboxEvent

_LAST_SEQ = "coalesce(pg_sequence_last_value(pg_get_serial_sequence('outbox_events', 'seq')::regclass), 0)"

# The lock's key carries data: 1 << 62 marks the outbox, the low bits are the last seq taken before this
# writer's own. Shared, so writers never wait for each other; it goes with the transaction.
_ANNOUNCE = text(f"select pg_advisory_xact_lock_shared((1::bigint << 62) | {_LAST_SEQ})")

_TAKEN = text(f"select {_LAST_SEQ}")

_ANNOUNCED = text("""
    select min(((classid::bigint << 32) | objid::bigint) & ((1::bigint << 62) - 1))
    from pg_locks
    where locktype = 'advisory' and objsubid = 1 and classid::bigint >= (1::bigint << 30)
      and classid::bigint < (1::bigint << 31)
      and database = (select oid from pg_database where datname = current_database())
""")

_PLACE = text("""
    insert into outbox_cursors (consumer, seq) values (:consumer, 0) on conflict (consumer) do nothing
""")

_ADVANCE = text("""
    insert into outbox_cursors (consumer, seq) values (:consumer, :seq)
    on conflict (consumer) do update set seq = greatest(outbox_cursors.seq, excluded.seq)
""")


async def append(session: WriteSession, rows: Iterable[Sequence[object]]) -> None:
    """Write events; readers hold back what follows until this transaction ends."""
    await session.execute(_ANNOUNCE)
    await copy_rows(session, OutboxEvent, ("id", "type", "subject_id", "payload", "created_at"), rows)


async def horizon(session: ReadSession | WriteSession) -> int:
    """The seq up to which every event is either visible to the next statement or will never exist.

    The order of the two reads matters: a seq at or below the first figure was taken under a lock that the
    second read sees, unless its transaction has ended, and then the rows are visible.
    """
    taken: int = (await session.execute(_TAKEN)).scalar_one()
    announced: int | None = (await session.execute(_ANNOUNCED)).scalar_one()
    return taken if announced is None else min(taken, announced)


async def lock_place(session: WriteSession, consumer: str) -> int:
    """The consumer's place; its row is the consumer's lock."""
    await session.execute(_PLACE, {"consumer": consumer})
    place = select(OutboxCursor.seq).where(OutboxCursor.consumer == consumer).with_for_update()
    return (await session.execute(place)).scalar_one()


async def events_between(session: WriteSession, after: int, upto: int, limit: int) -> list[OutboxEvent]:
    found = await session.scalars(
        select(OutboxEvent)
        .where(OutboxEvent.seq > after, OutboxEvent.seq <= upto)
        .order_by(OutboxEvent.seq)
        .limit(limit)
    )
    return list(found)


async def move_place(session: WriteSession, consumer: str, seq: int) -> None:
    await session.execute(_ADVANCE, {"consumer": consumer, "seq": seq})
