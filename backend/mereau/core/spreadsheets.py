"""CSV as spreadsheets open it: by language, with a byte order mark, and with no cell that runs as a formula."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Final, Literal

Language = Literal["fr", "en"]

MEDIA_TYPE: Final = "text/csv; charset=utf-8"
_DELIMITERS: Final[dict[Language, str]] = {"fr": ";", "en": ","}
_BOM: Final = "\ufeff"
# What spreadsheets take for the start of a formula, also behind a tab or a line end (OWASP, CSV injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = str | int | None


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Cell]], language: Language) -> bytes:
    """A whole file in UTF-8; French spreadsheets expect `;`. Texts that look like formulas get a leading quote."""
    file = StringIO()
    writer = csv.writer(file, delimiter=_DELIMITERS[language], lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return (_BOM + file.getvalue()).encode()


def harmless(cell: Cell) -> Cell:
    """The cell, with a leading quote where a spreadsheet would take it for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
