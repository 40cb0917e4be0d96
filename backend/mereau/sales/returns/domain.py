"""Returns as they are handed in, and how units and tokens go back line by line. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from mereau.core.amounts import MAX_AMOUNT_MINOR
from mereau.core.errors import FieldError, MereauError
from mereau.sales.domain import CLOCK_SKEW_MAX, LINES_MAX, REFERENCE_LENGTH_MAX
from mereau.sales.errors import InvalidSaleError, OverReturnError


@dataclass(frozen=True, slots=True)
class ReturnDraft:
    """Units that come back against one sale, as (line number, units); a line named twice is summed.

    One document that touches several sales is one draft per sale with the same external id.
    """

    sale_id: str
    partner_id: str
    external_id: str
    occurred_at: datetime
    lines: Sequence[tuple[int, int]]
    staff_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedReturn:
    """A return that stands in the books.

    `tokens_due` is what the goods had earned, `tokens_reversed` what was taken back of it; the rest is
    forgiven or a debt, by the programme's policy.
    """

    id: str
    sale_id: str
    partner_id: str
    external_id: str
    tokens_due: int
    tokens_reversed: int
    entry_id: str | None
    duplicate: bool = False


def reversed_in_all(line_tokens: int, returned_quantity: int, quantity: int) -> int:
    """Tokens of a line that are reversed once `returned_quantity` of its `quantity` units came back.

    A function of the total alone, so partial returns in any order end where one full return ends.
    """
    return line_tokens * returned_quantity // quantity


@dataclass(slots=True)
class Share:
    """What one entry gave for a line, and what of it came back."""

    entry_id: str
    rule: str
    tokens: int
    reversed_tokens: int


@dataclass(slots=True)
class OpenLine:
    """A sale's line while returns are applied to it; the caller holds the sale's lock.

    `shares` stand for the entries of a sale that several rules credited; a single entry gave all of a line's tokens.
    """

    quantity: int
    tokens: int
    returned_quantity: int
    reversed_tokens: int
    shares: Sequence[Share] = ()

    def take_back(self, quantity: int) -> int:
        """Return units; the tokens that go back with them, each entry's by the rule of `reversed_in_all`."""
        self.returned_quantity += quantity
        for share in self.shares:
            share.reversed_tokens = self._reversed(share.tokens)
        before = self.reversed_tokens
        self.reversed_tokens = (
            sum(share.reversed_tokens for share in self.shares) if self.shares else self._reversed(self.tokens)
        )
        return self.reversed_tokens - before

    def _reversed(self, tokens: int) -> int:
        return reversed_in_all(tokens, self.returned_quantity, self.quantity)


def merged(lines: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Units by line number, in the order of the lines' numbers."""
    units: dict[int, int] = {}
    for number, quantity in sorted(lines):
        units[number] = units.get(number, 0) + quantity
    return units


def refusal(draft: ReturnDraft, now: datetime) -> MereauError | None:
    """Why a return cannot be, whatever its sale; None where it can."""
    findings = [
        FieldError(f"/lines/{i}/quantity", "out_of_range", "must be 1 or more")
        for i, (_, quantity) in enumerate(draft.lines)
        if not 0 < quantity <= MAX_AMOUNT_MINOR
    ]
    findings += [
        FieldError(f"/lines/{i}/line_number", "out_of_range", f"must be from 1 to {LINES_MAX}")
        for i, (number, _) in enumerate(draft.lines)
        if not 0 < number <= LINES_MAX
    ]
    if not findings and sum(quantity for _, quantity in draft.lines) > MAX_AMOUNT_MINOR:
        findings.append(FieldError("/lines", "out_of_range", "the return's units must be below 2^53"))
    if not 0 < len(draft.lines) <= LINES_MAX:
        findings.append(FieldError("/lines", "length", f"must hold 1 to {LINES_MAX} lines"))
    if not 0 < len(draft.external_id) <= REFERENCE_LENGTH_MAX:
        findings.append(FieldError("/external_id", "length", f"must have 1 to {REFERENCE_LENGTH_MAX} characters"))
    if draft.occurred_at > now + CLOCK_SKEW_MAX:
        findings.append(FieldError("/occurred_at", "future", "must not lie in the future"))
    return InvalidSaleError("The return is not valid.", errors=findings) if findings else None


def line_refusal(draft: ReturnDraft, lines: Mapping[tuple[str, int], OpenLine]) -> MereauError | None:
    """Why the sale cannot take these units back: an unknown line, or more than is still out."""
    unknown, over = [], []
    for number, quantity in merged(draft.lines).items():
        line = lines.get((draft.sale_id, number))
        if line is None:
            unknown.append(FieldError("/lines", "unknown_line", f"the sale has no line {number}"))
        elif line.returned_quantity + quantity > line.quantity:
            left = line.quantity - line.returned_quantity
            detail = f"line {number}: {quantity} units come back, {left} of {line.quantity} are still out"
            over.append(FieldError("/lines", "over_return", detail))
    if unknown:
        return InvalidSaleError("The return is not valid.", errors=unknown)
    if over:
        return OverReturnError(
            f"More units come back than are still out ({'; '.join(f.detail for f in over)}).", errors=over
        )
    return None


def inputs_digest(draft: ReturnDraft) -> bytes:
    """SHA-256 of what the return says (canonical form, version 1), whoever recorded it."""
    content = [
        draft.sale_id,
        draft.occurred_at.astimezone(UTC).isoformat(),
        list(merged(draft.lines).items()),
    ]
    return hashlib.sha256(b"mereau return v1\n" + orjson.dumps(content)).digest()
