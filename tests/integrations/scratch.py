"""Databases that live for one example of a property."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from factories.imports import ImportShop, make_import_shop
from mereau.core.db import create_engine


@asynccontextmanager
async def scratch_shop(postgres_url: str) -> AsyncIterator[ImportShop]:
    """An import shop on a freshly migrated database, gone afterwards."""
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"create database {name} template mereau_template strategy file_copy")
    engine = create_engine(postgres_url.replace("/postgres?", f"/{name}?"))
    try:
        yield await make_import_shop(engine)
    finally:
        await engine.dispose()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")
