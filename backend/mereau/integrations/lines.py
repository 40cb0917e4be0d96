"""The words between mappings and the importer: what a record says, and who reads it out of a file."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class Kind(StrEnum):
    """What a record is. An adjustment is sound and counted, and neither a sale nor a return."""

    SALE = "sale"
    RETURN = "return"
    ADJUSTMENT = "adjustment"


class ImportLine(NamedTuple):
    """One line of a document.

    `quantity` counts units and is positive, of goods sold or of goods that come back. `occurred_at` is
    ISO 8601 in UTC, in one form per mapping, so that texts sort as instants do. `member` is the member's
    external id, empty for nobody known.
    """

    document: str
    kind: Kind
    occurred_at: str
    member: str
    sku: str
    quantity: int
    unit_price_micro: int
    amount_minor: int


class SalesMapping(Protocol):
    """How the records of one kind of file become lines."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns that `parse` takes, in its order; the file may hold them in any."""
        ...

    def parse(self, fields: Sequence[str]) -> ImportLine:
        """The record's line; RefusedLineError with the reason for a record that cannot be read."""
        ...
