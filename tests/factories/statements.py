"""What the product sends to the database meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Everything that psycopg sends meanwhile: statements and COPYs."""
    sent: list[str] = []
    execute, copy = psycopg.AsyncCursor.execute, psycopg.AsyncCursor.copy

    async def counting_execute(self: object, query: object, *args: object, **kwargs: object) -> object:
        sent.append(str(query))
        return await execute(self, query, *args, **kwargs)

    def counting_copy(self: object, query: object, *args: object, **kwargs: object) -> object:
        sent.append(str(query))
        return copy(self, query, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", counting_execute)
        patch.setattr(psycopg.AsyncCursor, "copy", counting_copy)
        yield sent
