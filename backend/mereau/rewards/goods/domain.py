"""Goods, their variants, and what each movement does to a stock. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

from mereau.core.errors import FieldError

PIECES_MAX: Final = 10**6
VARIANTS_MAX: Final = 200

GoodsStatus = Literal["draft", "approved", "withdrawn"]
SizeKey = tuple[int, int, tuple[tuple[int, int, str], ...]]

_LETTER_SIZE: Final = re.compile(r"(?:([0-9]{1,2})X|(X*))([SML])\Z")
_RUNS: Final = re.compile(r"[0-9]+|[^0-9]+")


@dataclass(frozen=True, slots=True)
class VariantDraft:
    """One size and colour of goods; an event tells when `alert_at` pieces or fewer are available."""

    sku: str
    size: str | None = None
    colour: str | None = None
    buffer: int = 0
    alert_at: int = 0


@dataclass(frozen=True, slots=True)
class GoodsDraft:
    """Goods to be stocked; the partner keeps and ships them, `cost_minor` is in the programme's currency."""

    external_id: str
    partner_id: str
    name_fr: str
    name_en: str
    supplier: str
    cost_minor: int
    variants: tuple[VariantDraft, ...]
    text_fr: str | None = None
    text_en: str | None = None


class MovementKind(StrEnum):
    """Why a stock changes. `returned` came back from a member, `counted` corrects to what lies on the shelf."""

    RECEIVED = "received"
    RESERVED = "reserved"
    RELEASED = "released"
    SHIPPED = "shipped"
    RETURNED = "returned"
    COUNTED = "counted"
    WRITTEN_OFF = "written_off"


# Kind -> what one piece adds to (on hand, reserved).
_EFFECTS: Final = {
    MovementKind.RECEIVED: (1, 0),
    MovementKind.RESERVED: (0, 1),
    MovementKind.RELEASED: (0, -1),
    MovementKind.SHIPPED: (-1, -1),
    MovementKind.RETURNED: (1, 0),
    MovementKind.WRITTEN_OFF: (-1, 0),
}


@dataclass(frozen=True, slots=True)
class Movement:
    """So many pieces of a variant; for `counted`, the pieces that were found. `delivery_id` for whom it moves."""

    variant_id: str
    kind: MovementKind
    pieces: int
    reason: str
    delivery_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stock:
    """Pieces of one variant. The buffer is never promised to anybody."""

    variant_id: str
    goods_id: str
    sku: str
    on_hand: int
    reserved: int
    buffer: int
    alert_at: int

    @property
    def available(self) -> int:
        return max(0, self.on_hand - self.reserved - self.buffer)

    def after(self, movement: Movement) -> "Stock":
        """The stock once the movement is made, sound or not; see `shortfall`."""
        if movement.kind is MovementKind.COUNTED:
            return replace(self, on_hand=movement.pieces)
        on_hand, reserved = _EFFECTS[movement.kind]
        return replace(
            self,
            on_hand=self.on_hand + on_hand * movement.pieces,
            reserved=self.reserved + reserved * movement.pieces,
        )


def shortfall(before: Stock, movement: Movement) -> int:
    """How many pieces are missing for the movement to be made; 0 where it can be.

    A reservation leaves the buffer alone; what takes pieces off the shelf leaves those that are reserved.
    """
    if movement.kind is MovementKind.RESERVED:
        return max(0, movement.pieces - before.available)
    after = before.after(movement)
    return max(0, after.reserved - after.on_hand, -after.reserved)


def has_run_low(before: Stock, after: Stock) -> bool:
    """Whether what is available has just fallen to the level at which somebody should order more."""
    return before.available > after.alert_at >= after.available


def findings(draft: GoodsDraft) -> Iterator[FieldError]:
    """What is wrong with a draft, field by field."""
    for field in ("external_id", "name_fr", "name_en", "supplier"):
        if not str(getattr(draft, field)).strip():
            yield FieldError(f"/{field}", "empty", "Must not be empty.")
    if not 1 <= len(draft.variants) <= VARIANTS_MAX:
        yield FieldError("/variants", "out_of_range", f"1 to {VARIANTS_MAX} variants are expected.")
    yield from _repeated("sku", [variant.sku for variant in draft.variants])
    yield from _repeated("size", [(variant.size, variant.colour) for variant in draft.variants])


def _repeated(field: str, values: Iterable[object]) -> Iterator[FieldError]:
    seen: Counter[object] = Counter()
    for place, value in enumerate(values):
        seen[value] += 1
        if seen[value] > 1:
            yield FieldError(f"/variants/{place}/{field}", "repeated", "Another variant is the same.")


def size_key(size: str | None) -> SizeKey:
    """Sorts sizes as a shelf does: none, then XS S M L XL 2XL, then the others with 9 before 10.

    `XXL` and `2XL` are one size; case does not matter.
    """
    if size is None:
        return 0, 0, ()
    text = size.strip().upper()
    if match := _LETTER_SIZE.match(text):
        number, crosses, letter = match.groups()
        steps = int(number) if number else len(crosses)
        if letter != "M":
            return 1, 1 + steps if letter == "L" else -1 - steps, ()
        if steps == 0:
            return 1, 0, ()
    return 2, 0, tuple((0, int(run), "") if run.isdecimal() else (1, 0, run) for run in _RUNS.findall(text))
