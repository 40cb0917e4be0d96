"""The schema's revision: what the code needs is what Alembic would bring, and nothing else will do."""

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import mereau
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConfigurationError
from mereau.core.revision import check_revision, newest_revision, schema_revision


def test_the_newest_file_is_the_head_of_the_migrations() -> None:
    folder = Path(mereau.__file__).parent / "migrations"
    assert newest_revision() == ScriptDirectory(str(folder)).get_current_head()


async def test_a_migrated_database_is_taken(engine: AsyncEngine) -> None:
    async with snapshot(engine) as session:
        await check_revision(session)
        assert await schema_revision(session) == newest_revision()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("update alembic_version set version_num = '0000'", "0000"),
        ("delete from alembic_version", "None"),
        ("drop table alembic_version", "None"),
    ],
)
async def test_any_other_schema_is_refused(engine: AsyncEngine, change: str, found: str) -> None:
    async with transaction(engine) as session:
        await session.execute(text(change))
        with pytest.raises(ConfigurationError, match=f"at revision {found}, .* run `mereau migrate`"):
            await check_revision(session)
        await session.rollback()
