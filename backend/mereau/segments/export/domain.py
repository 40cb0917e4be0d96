"""Rows as CSV that spreadsheets read in French as in English. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from mereau.core.spreadsheets import Cell, harmless

PLAIN: Final = ("id", "external_id")
PERSONAL: Final = (*PLAIN, "display_name", "email", "locale")
_BOM: Final = "\ufeff"


def header(columns: Sequence[str]) -> bytes:
    """The first line, after the mark by which spreadsheets know UTF-8."""
    return (_BOM + _lines([columns])).encode()


def body(rows: Iterable[Sequence[str | None]]) -> bytes:
    """Further lines."""
    return _lines([[harmless(value) for value in row] for row in rows]).encode()


def _lines(rows: Iterable[Sequence[Cell]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows(rows)
    return text.getvalue()
