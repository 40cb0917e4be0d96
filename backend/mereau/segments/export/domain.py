"""Rows as CSV that spreadsheets read in French as in English. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

PLAIN: Final = ("id", "external_id")
PERSONAL: Final = (*PLAIN, "display_name", "email", "locale")
_BOM: Final = "\ufeff"
# What a spreadsheet would take for a formula; somebody else chose these texts.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def header(columns: Sequence[str]) -> bytes:
    """The first line, after the mark by which spreadsheets know UTF-8."""
    return (_BOM + _lines([columns])).encode()


def body(rows: Iterable[Sequence[str | None]]) -> bytes:
    """Further lines."""
    return _lines([[_harmless(value or "") for value in row] for row in rows]).encode()


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _harmless(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
