"""Writing acts down and checking that nobody changed them since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from mereau.core.db import ReadSession, WriteSession
from mereau.journal import repository
from mereau.journal.domain import GENESIS_HASH, block_hash

_BLOCKS_PER_READ: Final = 100


@dataclass(frozen=True, slots=True)
class Record:
    """One act to write down. `detail` is JSON and holds no secret and no personal data."""

    at: datetime
    actor: str
    action: str
    subject_id: str
    detail: Mapping[str, object]


async def record_many(session: WriteSession, records: Sequence[Record]) -> None:
    """Append acts in the session's transaction; the sealing job chains them later, without a common lock."""
    if records:
        await repository.append(
            session,
            ((r.at, r.actor, r.action, r.subject_id, orjson.dumps(r.detail).decode()) for r in records),
        )


async def record(
    session: WriteSession,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject_id: str,
    detail: Mapping[str, object],
) -> None:
    """Append one act; see `record_many`."""
    await record_many(session, [Record(at, actor, action, subject_id, detail)])


async def seal_block(session: WriteSession, acts_max: int) -> int:
    """Chain up to `acts_max` committed acts into one block; the number of acts, 0 where there is none.

    Acts of transactions that still run are invisible and fall into a later block: a block's content is
    the rows that name it, so lower ids may stand in higher blocks.
    """
    await repository.lock_sealing(session)
    acts = await repository.unsealed(session, acts_max)
    if not acts:
        return 0
    last = await repository.last_block(session)
    previous, number = (last.hash, last.number + 1) if last else (GENESIS_HASH, 1)
    await repository.write_block(session, number, previous, block_hash(previous, number, acts), acts)
    return len(acts)


async def head(session: ReadSession | WriteSession) -> bytes:
    """Hash of the last block (32 bytes); zeros before the first."""
    last = await repository.last_block(session)
    return last.hash if last else GENESIS_HASH


async def verify(session: ReadSession) -> list[str]:
    """Recompute the whole chain; one sentence per finding, none when every block is as it was sealed."""
    findings: list[str] = []
    previous, number = GENESIS_HASH, 0
    while blocks := await repository.blocks_after(session, number, _BLOCKS_PER_READ):
        acts = await repository.acts_of_blocks(session, blocks[0].number, blocks[-1].number)
        for block in blocks:
            number += 1
            if block.number != number:
                findings.append(f"Journal block {number} is missing.")
                number = block.number
            if block.previous_hash != previous:
                findings.append(f"Journal block {number} does not follow the block before it.")
            mine = acts.get(number, [])
            if len(mine) != block.entry_count:
                findings.append(f"Journal block {number} holds {len(mine)} acts instead of {block.entry_count}.")
            elif block_hash(block.previous_hash, number, mine) != block.hash:
                findings.append(f"An act of journal block {number} was changed.")
            previous = block.hash
    return findings
