"""Lists in pages: an opaque cursor names the last row seen, so rows that appear meanwhile shift nothing."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from mereau.core.errors import FieldError, InvalidInputError

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 100
_CURSOR_CHARS_MAX: Final = 200

Row = TypeVar("Row")
Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a caller asked for: at most `limit` rows after the row that `after` names (None: the start)."""

    limit: int = LIMIT_DEFAULT
    after: str | None = None

    def after_number(self) -> int | None:
        """The cursor of a list ordered by a number. Raises InvalidInputError for another list's cursor."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit()) or int(self.after) >= 2**63:
            raise unknown_cursor()
        return int(self.after)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of one page; `next_after` is None on the last one."""

    rows: Sequence[Row]
    next_after: str | None

    def map(self, show: Callable[[Row], Shown]) -> "Page[Shown]":
        return Page([show(row) for row in self.rows], self.next_after)


def cut_page(rows: Sequence[Row], limit: int, key: Callable[[Row], object]) -> Page[Row]:
    """A page out of `limit` + 1 rows read: the one too many only says that there is more."""
    shown = rows[:limit]
    return Page(shown, str(key(shown[-1])) if len(rows) > limit else None)


def encode_cursor(after: str) -> str:
    """A cursor for a URL; nothing in it is secret, its form is nobody's business."""
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The row key in a cursor. Raises InvalidInputError for what `encode_cursor` never made."""
    if not cursor.isascii() or len(cursor) > _CURSOR_CHARS_MAX:
        raise unknown_cursor()
    try:
        after = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise unknown_cursor() from None
    if encode_cursor(after) != cursor or not after.isprintable() or not after:
        raise unknown_cursor()
    return after


def unknown_cursor() -> InvalidInputError:
    return InvalidInputError(
        "The cursor is not one of this list.",
        errors=[FieldError("cursor", "unknown_cursor", "Take it from next_cursor of the page before.")],
    )
