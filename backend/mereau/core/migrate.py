"""Brings a database to the newest schema; the tests' databases are built the same way."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from mereau.core.db import sqlalchemy_url

_LOCK = 0x6D657265  # "mere": one migration at a time per database


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def migrate(url: str, *, revision: str = "head") -> None:
    """Upgrade to `revision` in one transaction, under an advisory lock; a no-op when already there."""
    engine = create_engine(sqlalchemy_url(url))
    try:
        with engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            command.upgrade(_config(connection), revision)
    finally:
        engine.dispose()


def check_schema(url: str) -> None:
    """Raise where the models and the migrations disagree (`alembic check`)."""
    engine = create_engine(sqlalchemy_url(url))
    try:
        with engine.connect() as connection:
            command.check(_config(connection))
    finally:
        engine.dispose()
