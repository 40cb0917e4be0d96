"""The mirror's tables: blocks, transfers, events and balances, written set by set.

Callers hold the one row of chain_mirror locked (`lock`), so that no two mirrors write on one head.
"""

import struct
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.contract import ZERO_ADDRESS
from mereau.chain.faults import DriftError, OvertakenError
from mereau.chain.headers import Header
from mereau.chain.logs import EventRow, TransferRow
from mereau.chain.models import Block, ChainEvent, MirrorState
from mereau.core.db import WriteSession, copy_rows, raw_connection

BLOCKS_CHANNEL: Final = "mereau_blocks"

# PostgreSQL's binary COPY: a signature, rows of length-prefixed fields, an end mark.
_COPY_START: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END: Final = b"\xff\xff"
_TRANSFER: Final = struct.Struct(">hiqiii20si20siq")

# The database adds up what was just copied: no figure of it crosses the wire a second time. Wallets whose gains
# and losses cancel out get their row as well, because an undo takes them back one by one. An insert of a negative
# figure would break the table's check before the conflict is seen, so losses are an update.
_APPLY: Final = text("""
    with moved as (
        select target as wallet, tokens from chain_transfers where block_number between :first and :last
        union all
        select source, -tokens from chain_transfers where block_number between :first and :last
    ), change as (
        select wallet, sum(tokens)::bigint as tokens from moved group by wallet
    ), gained as (
        insert into chain_balances as balance (wallet, tokens)
        select wallet, tokens from change where tokens >= 0 and wallet <> :zero
        on conflict (wallet) do update set tokens = balance.tokens + excluded.tokens
    ), lost as (
        update chain_balances as balance set tokens = balance.tokens + change.tokens
        from change where balance.wallet = change.wallet and change.tokens < 0
        returning balance.wallet
    )
    select
        (select coalesce(sum(tokens), 0)::bigint from change where wallet = :zero),
        (select count(*) from change where tokens < 0 and wallet <> :zero) - (select count(*) from lost)
""")
_UNDO: Final = text("""
    with gone as (
        delete from chain_transfers where block_number > :fork returning source, target, tokens
    ), moved as (
        select source as wallet, tokens from gone
        union all
        select target, -tokens from gone
    ), change as (
        select wallet, sum(tokens) as tokens from moved group by wallet
    ), applied as (
        update chain_balances as balance set tokens = balance.tokens + change.tokens
        from change where balance.wallet = change.wallet returning balance.wallet
    )
    select
        (select coalesce(sum(tokens), 0)::bigint from change where wallet = :zero),
        (select count(*) from change where wallet <> :zero) - (select count(*) from applied)
""")


async def load(session: AsyncSession) -> MirrorState | None:
    """The mirror's state, None before its first step."""
    return await session.get(MirrorState, 1)


async def create(session: WriteSession, first: Header, now: datetime) -> None:
    """Begin before `first`, the block of the deployment, which the first chunk then reads."""
    await session.execute(
        insert(MirrorState)
        .values(
            id=1,
            head_number=first.number - 1,
            head_hash=first.parent_hash,
            head_timestamp_s=first.timestamp_s,
            final_number=first.number - 1,
            node_head_number=first.number,
            supply=0,
            checked_at=now,
        )
        .on_conflict_do_nothing()
    )


async def lock(session: WriteSession, head_hash: bytes) -> MirrorState:
    """The state for writing, until the transaction ends; OvertakenError where the head is another one."""
    state = await session.scalar(
        select(MirrorState).where(MirrorState.id == 1).with_for_update(), execution_options={"populate_existing": True}
    )
    if state is None or state.head_hash != head_hash or state.frozen_reason is not None:
        raise OvertakenError("the mirror's head was moved or frozen by another process")
    return state


async def write_blocks(session: WriteSession, headers: Iterable[Header]) -> None:
    rows = ((header.number, header.hash, header.parent_hash, header.timestamp_s) for header in headers)
    await copy_rows(session, Block, ("number", "hash", "parent_hash", "timestamp_s"), rows)


async def write_transfers(session: WriteSession, transfers: Sequence[TransferRow]) -> None:
    """Binary COPY of rows packed here: half the time of converting each value on its own."""
    if not transfers:
        return
    pack = _TRANSFER.pack
    rows = [
        pack(5, 8, block, 4, index, 20, source, 20, target, 8, tokens)
        for block, index, source, target, tokens in transfers
    ]
    driver = await raw_connection(session)
    statement = "copy chain_transfers (block_number, log_index, source, target, tokens) from stdin (format binary)"
    async with driver.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(b"".join((_COPY_START, *rows, _COPY_END)))


async def write_events(session: WriteSession, events: Sequence[EventRow]) -> None:
    columns = ("block_number", "log_index", "transaction_hash", "name", "data")
    rows = ((*event[:4], orjson.dumps(event.data).decode()) for event in events)
    if events:
        await copy_rows(session, ChainEvent, columns, rows)


async def apply_transfers(session: WriteSession, first: int, last: int) -> int:
    """Add the stored transfers of blocks `first` to `last` to the balances; returns how the supply changed."""
    try:
        supply, missing = (await session.execute(_APPLY, {"first": first, "last": last, "zero": ZERO_ADDRESS})).one()
    except IntegrityError as error:
        raise DriftError("a wallet gave more tokens than the mirror knew it to have") from error
    if missing:
        raise DriftError("a wallet gave tokens and the mirror knew of none")
    return -int(supply)


async def hashes(session: AsyncSession, first: int, last: int) -> dict[int, bytes]:
    """The hashes of the stored blocks `first` to `last`."""
    rows = await session.execute(select(Block.number, Block.hash).where(Block.number.between(first, last)))
    return dict(rows.all())


async def undo(session: WriteSession, fork: int) -> int:
    """Remove every block above `fork` with its effects and return how the supply changed."""
    try:
        supply, missing = (await session.execute(_UNDO, {"fork": fork, "zero": ZERO_ADDRESS})).one()
    except IntegrityError as error:
        raise DriftError("a wallet cannot give back what the mirror added to it") from error
    if missing:
        raise DriftError("a wallet that took part in a transfer is unknown")
    await session.execute(delete(ChainEvent).where(ChainEvent.block_number > fork))
    await session.execute(delete(Block).where(Block.number > fork))
    return -int(supply)


async def freeze(session: WriteSession, reason: str) -> None:
    await session.execute(update(MirrorState).values(frozen_reason=reason))


async def unfreeze(session: WriteSession, *, rewind_to: int | None = None) -> None:
    """An operator's act: let the mirror go on after its reason to freeze was looked into.

    Without `rewind_to` the stored chain stands, right where the node was wrong. With it, blocks above that
    number count as not final again, so that the next step may follow the chain to which the node forked.
    """
    change: dict[str, object] = {"frozen_reason": None}
    if rewind_to is not None:
        change["final_number"] = func.least(MirrorState.final_number, rewind_to)
    await session.execute(update(MirrorState).values(**change))


async def touch(session: WriteSession, node_head_number: int, now: datetime) -> None:
    """Note that the node was asked, though nothing changed."""
    await session.execute(update(MirrorState).values(node_head_number=node_head_number, checked_at=now))


async def announce(session: WriteSession, head_number: int) -> None:
    """Wake who waits for blocks, when the transaction commits."""
    await session.execute(select(func.pg_notify(BLOCKS_CHANNEL, str(head_number))))
