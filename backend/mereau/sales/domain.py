"""Sales as they are handed in: what they must be, and what makes two alike. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from mereau.core.amounts import MAX_AMOUNT_MINOR
from mereau.core.errors import FieldError
from mereau.sales.errors import InvalidSaleError

LINES_MAX: Final = 10_000
REFERENCE_LENGTH_MAX: Final = 255
PRICE_MICRO_MAX: Final = 2**63 - 1
CLOCK_SKEW_MAX: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class SaleLineDraft:
    """One line. Amounts are of the whole line, in minor units; see `earning.domain` for what each includes.

    `unit_price_micro` (millionths of the currency's unit) tells lines of one SKU apart where prices have
    more digits than the currency; `eligible` false keeps a line from earning whatever the rule says.
    """

    sku: str
    category: str | None
    quantity: int
    unit_price_micro: int | None
    amount_minor: int
    discount_minor: int = 0
    tax_minor: int = 0
    eligible: bool = True
    brand: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SaleDraft:
    """One receipt of a partner. `member_id` None is a sale to nobody known: recorded, earns nothing.

    `payment_token` is what the buyer paid with, where that told who they are.
    """

    partner_id: str
    external_id: str
    member_id: str | None
    occurred_at: datetime
    currency: str
    lines: Sequence[SaleLineDraft]
    shipping_minor: int = 0
    location_id: str | None = None
    staff_id: str | None = None
    channel: str | None = None
    payment_token: str | None = None


@dataclass(frozen=True, slots=True)
class SaleAward:
    """What one rule (id@version) gave for a sale, and the entry that credits it."""

    rule: str
    entry_id: str
    tokens: int


@dataclass(frozen=True, slots=True)
class RecordedSale:
    """A sale that stands in the ledger's books; `duplicate` when it already stood there before this call.

    `tokens` are those of all `awards`, `entry_id` and `rule` those of the first.
    """

    id: str
    partner_id: str
    external_id: str
    member_id: str | None
    eligible_minor: int
    tokens: int
    rule: str | None
    entry_id: str | None
    awards: tuple[SaleAward, ...] = ()
    duplicate: bool = False


def _line_findings(lines: Sequence[SaleLineDraft]) -> list[FieldError]:
    findings = []
    for i, line in enumerate(lines):
        if not 0 < line.quantity <= MAX_AMOUNT_MINOR:
            findings.append(FieldError(f"/lines/{i}/quantity", "out_of_range", "must be 1 or more"))
        if max(abs(line.amount_minor), abs(line.discount_minor), abs(line.tax_minor)) > MAX_AMOUNT_MINOR:
            findings.append(FieldError(f"/lines/{i}", "out_of_range", "amounts must be below 2^53"))
        if abs(line.unit_price_micro or 0) > PRICE_MICRO_MAX:
            findings.append(FieldError(f"/lines/{i}/unit_price_micro", "out_of_range", "is too large"))
        if line.discount_minor < 0 or line.tax_minor < 0:
            findings.append(FieldError(f"/lines/{i}", "negative", "discount and tax must be 0 or more"))
    # Each line fits; their sum, which the books hold beside them, must too.
    if not findings and sum(max(line.amount_minor, 0) for line in lines) > MAX_AMOUNT_MINOR:
        findings.append(FieldError("/lines", "out_of_range", "the sale's total must be below 2^53"))
    return findings


def refusal(draft: SaleDraft, currency: str, now: datetime) -> InvalidSaleError | None:
    """Why a sale cannot be recorded, with every finding; None where it can."""
    findings = _line_findings(draft.lines)
    if not 0 < len(draft.external_id) <= REFERENCE_LENGTH_MAX:
        findings.append(FieldError("/external_id", "length", f"must have 1 to {REFERENCE_LENGTH_MAX} characters"))
    if not 0 < len(draft.lines) <= LINES_MAX:
        findings.append(FieldError("/lines", "length", f"must hold 1 to {LINES_MAX} lines"))
    if draft.currency != currency:
        findings.append(FieldError("/currency", "currency", f"must be the programme's currency, {currency}"))
    if draft.occurred_at > now + CLOCK_SKEW_MAX:
        findings.append(FieldError("/occurred_at", "future", "must not lie in the future"))
    if not 0 <= draft.shipping_minor <= MAX_AMOUNT_MINOR:
        findings.append(FieldError("/shipping_minor", "out_of_range", "must be 0 or more and below 2^53"))
    return InvalidSaleError("The sale is not valid.", errors=findings) if findings else None


def inputs_digest(draft: SaleDraft) -> bytes:
    """SHA-256 of what the sale says (canonical form, version 2), whoever recorded it.

    The staff member is left out: the same receipt handed in by two people is the same receipt. Of a sale that was
    paid with a token it is the token that says who bought, whoever that was known to be meanwhile.
    """
    content = [
        draft.member_id if draft.payment_token is None else f"paid with {draft.payment_token}",
        draft.occurred_at.astimezone(UTC).isoformat(),
        draft.currency,
        draft.shipping_minor,
        draft.location_id,
        draft.channel,
        [
            (
                line.sku,
                line.category,
                line.quantity,
                line.unit_price_micro,
                line.amount_minor,
                line.discount_minor,
                line.tax_minor,
                line.eligible,
                line.brand,
                line.labels,
            )
            for line in draft.lines
        ],
    ]
    return hashlib.sha256(b"mereau sale v2\n" + orjson.dumps(content)).digest()
