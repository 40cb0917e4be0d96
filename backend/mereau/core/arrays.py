"""Array parameters of PostgreSQL, written by orjson where that is the same."""

from collections.abc import Sequence
from datetime import datetime
from types import NoneType
from typing import Any, Final

import orjson
import psycopg
from psycopg.abc import Buffer
from psycopg.types.array import ListDumper

# What orjson writes as PostgreSQL reads it: [1,null] is {1,null}, and an instant is RFC 3339 in both.
_SAME: Final[tuple[frozenset[type], ...]] = tuple(frozenset({kind, NoneType}) for kind in (str, int, bool, datetime))


class FlatListDumper(ListDumper):
    """A list of one plain type at once; anything else as psycopg does it, item by item in Python.

    The two syntaxes differ in escapes alone: what holds any is left to psycopg as well.
    """

    def dump(self, obj: list[Any]) -> Buffer | None:
        """The array literal (PostgreSQL manual, 8.15.2)."""
        if obj and is_flat(obj):
            try:
                text = orjson.dumps(obj)
            except TypeError:  # An integer beyond 64 bits, half a surrogate pair: psycopg knows what to say.
                return super().dump(obj)
            if b"\\" not in text:
                return b"{" + text[1:-1] + b"}"
        return super().dump(obj)


def is_flat(values: Sequence[object]) -> bool:
    """Whether all values are of one type that both syntaxes write alike, or null."""
    kinds = set(map(type, values))
    return any(kinds <= same for same in _SAME)


def install(connection: psycopg.AsyncConnection[Any]) -> None:
    """Let a connection write its lists so."""
    connection.adapters.register_dumper(list, FlatListDumper)
