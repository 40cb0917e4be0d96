"""Which revision of the schema a database is at, and which one this code is written for."""

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
    revision, newest = await schema_revision(session), newest_revision()
    if revision != newest:
        raise ConfigurationError(
            f"The database is at revision {revision}, this code needs {newest}: run `mereau migrate`."
        )


@cache
def newest_revision() -> str:
    """The revision that this code is written for: they count up, and each migration's file begins with its own.

    Read from the names, because Alembic takes a third of a second and ten megabytes to say the same.
    """
    versions = Path(mereau.__file__).parent / "migrations" / "versions"
    return max(path.name.partition("_")[0] for path in versions.glob("[0-9]*.py"))
