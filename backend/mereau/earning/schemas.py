"""Sales and returns on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from mereau.core.errors import MereauError
from mereau.core.schemas import (
    AMOUNT_MINOR_MAX,
    AmountMinor,
    Currency,
    ExternalId,
    Instant,
    Label,
    Money,
    ObjectId,
    ProblemError,
    Quantity,
    Request,
    Resource,
)
from mereau.earning.returns.schemas import ReturnOut, show_return
from mereau.ledger.schemas import BalanceOut, EntryRef
from mereau.members.cards.schemas import CardToken
from mereau.sales.domain import RecordedSale, SaleAward, SaleLineDraft
from mereau.sales.queries import SaleView

LINES_MAX: Final = 200
SALES_MAX: Final = 500
LABELS_MAX: Final = 20
_MICRO_PER_UNIT: Final = 10**6
# Minor digits other than two (ISO 4217).
_MINOR_DIGITS: Final = dict.fromkeys(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)  # fmt: skip


class MemberRef(Request):
    """Who bought: our id, or the caller's own number for the member."""

    id: ObjectId | None = None
    external_id: ExternalId | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.id is None) == (self.external_id is None):
            raise PydanticCustomError("one_of", "Either id or external_id is expected")
        return self


class SaleLineCreate(Request):
    """One line: its amount, or quantity times unit price; the discount off it and the tax inside it."""

    sku: Label
    category: Label | None = None
    brand: Label | None = None
    labels: list[Label] = Field(default_factory=list, max_length=LABELS_MAX)
    quantity: Quantity = 1
    unit_price_minor: AmountMinor | None = None
    amount_minor: AmountMinor | None = None
    discount_minor: AmountMinor = 0
    tax_minor: AmountMinor = 0

    @model_validator(mode="after")
    def _amounts(self) -> Self:
        if (self.unit_price_minor is None) == (self.amount_minor is None):
            raise PydanticCustomError("one_of", "Either unit_price_minor or amount_minor is expected")
        if self.discount_minor > self.total_minor:
            raise PydanticCustomError("too_large", "The discount exceeds the line's amount")
        if self.tax_minor > self.total_minor:
            raise PydanticCustomError("too_large", "The tax exceeds the line's amount")
        return self

    @property
    def total_minor(self) -> int:
        if self.unit_price_minor is not None:
            return self.quantity * self.unit_price_minor
        return self.amount_minor or 0

    def draft(self, currency: str) -> SaleLineDraft:
        """The line as earning takes it; a unit price in minor units becomes one in millionths of the unit."""
        micro_per_minor = _MICRO_PER_UNIT // 10 ** _MINOR_DIGITS.get(currency, 2)
        return SaleLineDraft(
            sku=self.sku,
            category=self.category,
            brand=self.brand,
            labels=tuple(sorted(set(self.labels))),
            quantity=self.quantity,
            unit_price_micro=None if self.unit_price_minor is None else self.unit_price_minor * micro_per_minor,
            amount_minor=self.total_minor,
            discount_minor=self.discount_minor,
            tax_minor=self.tax_minor,
        )


_SALE_EXAMPLE: Final[JsonDict] = {
    "external_id": "2026-11-23-0042",
    "member": {"external_id": "card-100042"},
    "occurred_at": "2026-11-23T10:15:00+01:00",
    "currency": "EUR",
    "lines": [{"sku": "bread", "quantity": 2, "unit_price_minor": 320}],
}


class SaleCreate(Request):
    """A receipt. It counts once per partner and external_id, for ever."""

    model_config = ConfigDict(json_schema_extra={"example": _SALE_EXAMPLE})

    external_id: ExternalId
    member: MemberRef | None = Field(default=None, description="Absent: nobody known; earns nothing.")
    payment_token: CardToken | None = Field(
        default=None, description="Instead of member: a card's token; one that nobody registered is nobody known."
    )
    occurred_at: Instant
    currency: Currency
    lines: list[SaleLineCreate] = Field(min_length=1, max_length=LINES_MAX)
    shipping_minor: AmountMinor = 0
    location_id: ObjectId | None = None
    staff_id: ObjectId | None = None
    channel: Label | None = Field(default=None, description="Where it was sold, e.g. pos or web; rules may look at it.")
    partner_id: ObjectId | None = Field(default=None, description="For operators; else the key's own partner.")

    @model_validator(mode="after")
    def _total(self) -> Self:
        if self.member is not None and self.payment_token is not None:
            raise PydanticCustomError("one_of", "Either member or payment_token is expected")
        if sum(line.total_minor for line in self.lines) + self.shipping_minor > AMOUNT_MINOR_MAX:
            raise PydanticCustomError("too_large", "The sale's total is out of range")
        return self


class SalesBatchCreate(Request):
    """Up to 500 receipts in one transaction; each has an outcome of its own."""

    model_config = ConfigDict(json_schema_extra={"example": {"sales": [_SALE_EXAMPLE]}})

    sales: list[SaleCreate] = Field(min_length=1, max_length=SALES_MAX)


class SaleAwardOut(Resource):
    """What one rule (id@version) gave for a sale, and the entry that credits it."""

    rule: str
    entry_id: str
    tokens: int


class SaleRecorded(Resource):
    """What a sale earned. `balance` is the member's after it; `entry` and `rule` are the first of `awards`."""

    id: str
    external_id: str
    partner_id: str
    member_id: str | None
    eligible: Money
    tokens: int
    rule: str | None
    duplicate: bool = Field(description="The same receipt was recorded before.")
    entry: EntryRef | None
    awards: list[SaleAwardOut]
    balance: BalanceOut | None


class BatchSale(Resource):
    """A sale of a batch that is recorded."""

    id: str
    external_id: str
    partner_id: str
    member_id: str | None
    eligible: Money
    tokens: int
    rule: str | None
    duplicate: bool
    entry_id: str | None
    awards: list[SaleAwardOut]


class BatchProblem(Resource):
    """Why a sale of a batch is not recorded; pointers are relative to the sale."""

    status: int
    code: str
    title: str
    detail: str
    errors: list[ProblemError]


class BatchItem(Resource):
    """The outcome of one sale: 201 new, 200 recorded before, else `problem` says why not."""

    status: int
    sale: BatchSale | None
    problem: BatchProblem | None


class SalesBatchOut(Resource):
    """Outcomes in the order of the sales."""

    results: list[BatchItem]


class SaleLineOut(Resource):
    """A line with what it earned and what came back."""

    line_number: int
    sku: str
    category: str | None
    brand: str | None
    labels: list[str]
    quantity: int
    amount_minor: int
    discount_minor: int
    tax_minor: int
    eligible_minor: int
    tokens: int
    returned_quantity: int
    reversed_tokens: int


class SaleOut(Resource):
    """A recorded sale with its lines and returns."""

    id: str
    external_id: str
    partner_id: str
    member_id: str | None
    location_id: str | None
    staff_id: str | None
    channel: str | None
    occurred_at: datetime
    currency: str
    shipping_minor: int
    eligible: Money
    tokens: int
    rule: str | None
    entry_id: str | None
    awards: list[SaleAwardOut]
    created_at: datetime
    lines: list[SaleLineOut]
    returns: list[ReturnOut]


def show_sale(view: SaleView) -> SaleOut:
    head = view.head
    return SaleOut(
        id=head.id,
        external_id=head.external_id,
        partner_id=head.partner_id,
        member_id=head.member_id,
        location_id=head.location_id,
        staff_id=head.staff_id,
        channel=head.channel,
        occurred_at=head.occurred_at,
        currency=head.currency,
        shipping_minor=head.shipping_minor,
        eligible=Money(amount_minor=head.eligible_minor, currency=head.currency),
        tokens=head.tokens,
        rule=head.rule,
        entry_id=head.entry_id,
        awards=_show_awards(view.awards),
        created_at=head.created_at,
        lines=[SaleLineOut.model_validate(line) for line in view.lines],
        returns=[show_return(found) for found in view.returns],
    )


def show_recorded_sale(
    sale: RecordedSale, currency: str, entry: EntryRef | None, balance: BalanceOut | None
) -> SaleRecorded:
    return SaleRecorded(
        id=sale.id,
        external_id=sale.external_id,
        partner_id=sale.partner_id,
        member_id=sale.member_id,
        eligible=Money(amount_minor=sale.eligible_minor, currency=currency),
        tokens=sale.tokens,
        rule=sale.rule,
        duplicate=sale.duplicate,
        entry=entry,
        awards=_show_awards(sale.awards),
        balance=balance,
    )


def _show_awards(awards: Sequence[SaleAward]) -> list[SaleAwardOut]:
    return [SaleAwardOut.model_validate(award) for award in awards]


def show_batch_sale(sale: RecordedSale, currency: str) -> BatchSale:
    return BatchSale(
        id=sale.id,
        external_id=sale.external_id,
        partner_id=sale.partner_id,
        member_id=sale.member_id,
        eligible=Money(amount_minor=sale.eligible_minor, currency=currency),
        tokens=sale.tokens,
        rule=sale.rule,
        duplicate=sale.duplicate,
        entry_id=sale.entry_id,
        awards=_show_awards(sale.awards),
    )


def show_problem(error: MereauError) -> BatchProblem:
    return BatchProblem(
        status=error.status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        errors=[ProblemError.model_validate(found) for found in error.errors],
    )
