"""SQL of the programme."""

from sqlalchemy import select, text

from mereau.core.db import ReadSession, WriteSession
from mereau.programs.models import Program

_ONLY_ONE_LOCK = text("select pg_advisory_xact_lock(hashtextextended('mereau.programs', 0))")


async def lock(session: WriteSession) -> None:
    await session.execute(_ONLY_ONE_LOCK)


async def find(session: ReadSession | WriteSession) -> Program | None:
    return await session.scalar(select(Program))


async def add(session: WriteSession, program: Program) -> None:
    session.add(program)
    await session.flush()
