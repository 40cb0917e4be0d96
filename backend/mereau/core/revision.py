"""Which revision of the schema a database is at, and which one this code is written for."""

import asyncio
from functools import cache
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

import mereau
from mereau.core.errors import ConfigurationError


async def schema_revision(session: AsyncSession) -> str | None:
    """The revision that the database is at, None where it holds no schema of ours."""
    known = await session.scalar(text("select to_regclass('alembic_version') is not null"))
    return await session.scalar(text("select version_num from alembic_version")) if known else None


async def check_revision(session: AsyncSession) -> None:
    """Raise ConfigurationError where the database is at another revision than this code needs."""
    revision, newest = await schema_revision(session), await asyncio.to_thread(_newest_revision)
    if revision != newest:
        raise ConfigurationError(
            f"The database is at revision {revision}, this code needs {newest}: run `mereau migrate`."
        )


@cache
def _newest_revision() -> str | None:
    # Late import: it takes 100 ms, and is asked once in the life of a process.
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(mereau.__file__).parent / "migrations")).get_current_head()
