"""Which of our batches the chain's events account for. By event alone: anybody may submit a signed order."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.delta import ForeignEvent
from mereau.chain.logs import EventRow
from mereau.chain.reader import Outcome, ProvenBlock
from mereau.core.db import WriteSession

_KINDS: Final = {"Issued": "issue", "Reversed": "reverse", "Expired": "expire"}

_LINES: Final = text("""
    select line.position, batch.id, batch.kind, batch.trail_root
    from unnest(cast(:partners as bigint[]), cast(:sequences as bigint[])) with ordinality
        as line (partner, sequence, position)
    join chain_batches as batch on batch.partner_number = line.partner and batch.sequence = line.sequence
    where batch.state <> 'superseded'
    union all
    select line.position, batch.id, batch.kind, batch.trail_root
    from unnest(cast(:partners as bigint[]), cast(:sequences as bigint[])) with ordinality
        as line (partner, sequence, position)
    join chain_batches as batch on batch.partner_number is null and batch.sequence = line.sequence
    where line.partner is null and batch.state <> 'superseded'
""")
_MINE: Final = text("""
    update chain_batches as batch
    set state = 'mined', transaction_hash = place.hash, block_number = place.block, log_index = place.index,
        mined_at = to_timestamp(block.timestamp_s)
    from unnest(
        cast(:ids as text[]), cast(:hashes as bytea[]), cast(:blocks as bigint[]), cast(:indexes as int[])
    ) as place (id, hash, block, index)
    join chain_blocks as block on block.number = place.block
    where batch.id = place.id and batch.state in ('sealed', 'submitted', 'stuck')
    returning batch.id
""")
_SEALED_REFERENCES: Final = text("""
    select orders.commitment
    from chain_batches as batch
    join chain_orders as orders on orders.batch_id = batch.id
    where batch.kind = 'redeem' and batch.state in ('sealed', 'submitted', 'stuck')
        and orders.commitment = any(cast(:references as bytea[]))
""")
# Orders may leave a batch again, so that its last one can be executed before it is the last.
_EXECUTED: Final = text("""
    select distinct on (batch.id) batch.id, event.block_number, event.log_index, event.transaction_hash
    from chain_batches as batch
    join chain_orders as orders on orders.batch_id = batch.id
    join chain_events as event
        on event.name = 'Redeemed' and event.data ->> 'reference' = '0x' || encode(orders.commitment, 'hex')
    where batch.kind = 'redeem' and batch.state in ('sealed', 'submitted', 'stuck') and not exists (
        select 1 from chain_orders as waiting
        where waiting.batch_id = batch.id and not exists (
            select 1 from chain_events as executed where executed.name = 'Redeemed'
                and executed.data ->> 'reference' = '0x' || encode(waiting.commitment, 'hex')
        )
    )
    order by batch.id, event.block_number desc, event.log_index desc
""")
_ADMIN_ATTEMPTS: Final = text("""
    select attempt.hash, batch.id
    from chain_batches as batch
    join chain_sections as section on section.batch_id = batch.id
    join chain_attempts as attempt on attempt.transaction_id = section.transaction_id
    where batch.kind = 'admin' and batch.state in ('sealed', 'submitted', 'stuck')
""")
_FINAL: Final = text("""
    update chain_batches set state = 'final'
    where state = 'mined' and block_number <= :final returning id
""")
_REORGED: Final = text("""
    update chain_batches
    set state = 'submitted', transaction_hash = null, block_number = null, log_index = null, mined_at = null
    where state in ('mined', 'final') and block_number > :fork returning id
""")


class Matches(NamedTuple):
    mined: Sequence[str]
    foreign: Sequence[ForeignEvent]
    failed: Sequence[str]


class Place(NamedTuple):
    """Where a batch was executed; `log_index` is None for an admin transaction, which may log nothing."""

    block_number: int
    log_index: int | None
    transaction_hash: bytes


async def admin_attempts(session: AsyncSession) -> dict[bytes, str]:
    """Batch by transaction hash, for every signed attempt of an admin batch that may still be mined.

    Read it after the headers: an attempt is stored before it is sent, so what they hold is then in here.
    """
    rows = await session.execute(_ADMIN_ATTEMPTS)
    return dict(rows.all())


async def match(session: WriteSession, blocks: Sequence[ProvenBlock]) -> Matches:
    """Set the batches that these blocks executed to mined. Blocks and events are written already."""
    events = [event for block in blocks for event in block.events]
    places = await executed_redemptions(session)
    foreign = [
        *await _match_lines(session, [event for event in events if event.name in _KINDS], places),
        *await _foreign_redemptions(session, [event for event in events if event.name == "Redeemed"]),
    ]
    outcomes = [outcome for block in blocks for outcome in block.outcomes]
    failed = await _match_admin(session, outcomes, places)
    return Matches(await mine(session, places), foreign, failed)


async def executed_redemptions(session: AsyncSession) -> dict[str, Place]:
    """Open redemption batches of which every order is executed, with the place of the last one.

    Each order could be submitted on its own, and one may leave its batch after the others were executed.
    """
    rows = await session.execute(_EXECUTED)
    return {batch_id: Place(*place) for batch_id, *place in rows}


async def mine(session: WriteSession, places: Mapping[str, Place]) -> list[str]:
    """Set these batches to mined and return the ids of those that were open."""
    if not places:
        return []
    parameters = {
        "ids": list(places),
        "hashes": [place.transaction_hash for place in places.values()],
        "blocks": [place.block_number for place in places.values()],
        "indexes": [place.log_index for place in places.values()],
    }
    return list(await session.scalars(_MINE, parameters))


async def finalise(session: WriteSession, final_number: int) -> list[str]:
    """Set mined batches up to the final block to final and return their ids."""
    return list(await session.scalars(_FINAL, {"final": final_number}))


async def unmine(session: WriteSession, fork: int) -> list[str]:
    """Set batches above the fork back to submitted and return their ids."""
    return list(await session.scalars(_REORGED, {"fork": fork}))


async def _match_lines(
    session: WriteSession, events: Sequence[EventRow], places: dict[str, Place]
) -> list[ForeignEvent]:
    """Issued, Reversed, Expired: the sequence names the batch, the trail root proves that it is this one."""
    if not events:
        return []
    parameters = {
        "partners": [event.data.get("partner") for event in events],
        "sequences": [int(event.data["sequence"]) for event in events],
    }
    rows = await session.execute(_LINES, parameters)
    candidates = {position: (batch_id, kind, root) for position, batch_id, kind, root in rows}
    foreign = []
    for position, event in enumerate(events, 1):
        batch_id, kind, root = candidates.get(position, (None, None, None))
        line = _line(event, batch_id)
        if batch_id is not None and (kind, root) == (line.kind, line.trail_root):
            places[batch_id] = _place(event)
        else:
            foreign.append(line)
    return foreign


def _line(event: EventRow, batch_id: str | None) -> ForeignEvent:
    return ForeignEvent(
        _KINDS[event.name],
        event.block_number,
        event.log_index,
        partner_number=event.data.get("partner"),
        sequence=int(event.data["sequence"]),
        trail_root=bytes.fromhex(event.data["trailRoot"][2:]),
        batch_id=batch_id,
    )


async def _foreign_redemptions(session: WriteSession, events: Sequence[EventRow]) -> list[ForeignEvent]:
    if not events:
        return []
    here = {_reference(event): event for event in events}
    ours = set(await session.scalars(_SEALED_REFERENCES, {"references": list(here)}))
    return [
        ForeignEvent("redeem", event.block_number, event.log_index, reference=reference)
        for reference, event in here.items()
        if reference not in ours
    ]


async def _match_admin(session: WriteSession, outcomes: Sequence[Outcome], places: dict[str, Place]) -> list[str]:
    """Succeeded transactions mine their batch; of reverted ones the relayer hears."""
    if not outcomes:
        return []
    batch_of = await admin_attempts(session)
    failed = []
    for digest, block_number, succeeded in outcomes:
        batch_id = batch_of.get(digest)
        if batch_id is not None and succeeded:
            places[batch_id] = Place(block_number, None, digest)
        elif batch_id is not None:
            failed.append(batch_id)
    return failed


def _place(event: EventRow) -> Place:
    return Place(event.block_number, event.log_index, event.transaction_hash)


def _reference(event: EventRow) -> bytes:
    return bytes.fromhex(event.data["reference"][2:])
