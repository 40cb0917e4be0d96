"""One class per kind of reward: its terms, what it asks at redemption, what that costs and promises. Pure.

Terms are read strictly, from the wire and from the table alike, so they are models and not plain records. A new
kind is a new class in `Terms`; nothing else asks which kind a reward is.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import Field, TypeAdapter

from mereau.core.amounts import MAX_TOKENS
from mereau.core.errors import FieldError
from mereau.core.schemas import AmountMinor, Currency, ExternalId, Instant, Label, Name, PositiveTokens, Request

PIECES_MAX: Final = 20
GOODS_MAX: Final = 3
OPTIONS_MAX: Final = 8

Promise = dict[str, object]
"""What a redemption will give, fixed at its hold; JSON without personal data."""
Url = Annotated[str, Field(min_length=12, max_length=500, pattern=r"^https://[^\s\x00-\x1f\x7f]+$")]
Digest = Annotated[str, Field(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")]


class Asked(Request):
    """What a member says with a redemption; each kind says which of it is its own."""

    goods: ExternalId | None = Field(default=None, description="Which of the goods that a gift lets choose from.")
    options: dict[Label, Label] = Field(default={}, max_length=OPTIONS_MAX, description="Such as size and colour.")
    names: list[Name] = Field(default=[], max_length=PIECES_MAX, description="Who comes, one name per ticket.")
    order_reference: ExternalId | None = Field(default=None, description="The order that tokens pay for.")
    tokens: PositiveTokens | None = Field(default=None, description="How many tokens to pay with.")

    def given(self) -> Iterator[str]:
        """The fields that say something."""
        return (name for name in type(self).model_fields if getattr(self, name) not in (None, {}, []))


class KindTerms(Request):
    """What all kinds share: asked for nothing, each piece at its price, a voucher as the promise."""

    asks: ClassVar[frozenset[str]] = frozenset()
    is_bought: ClassVar[bool] = True
    """Whether tokens buy it; otherwise members are only told that they may have it."""
    is_done_at_grant: ClassVar[bool] = False
    """Whether nothing is left to be shown and used once the burn is final."""
    is_entitlement: ClassVar[bool] = False
    """Whether others may ask for as long as the voucher lives if the member has it."""

    @property
    def draws_codes(self) -> bool:
        """Whether each piece takes a code that the operator uploaded."""
        return False

    @property
    def file_digest(self) -> str | None:
        """The uploaded file that is downloaded; None where nothing is."""
        return None

    @property
    def goods_offered(self) -> list[str]:
        """The goods that a piece is chosen from; none where nothing physical is kept."""
        return []

    def findings(self, price_tokens: int) -> Iterator[FieldError]:
        """What is wrong with the terms, beyond the type of each field."""
        if self.is_bought != (price_tokens > 0):
            yield FieldError("/price_tokens", "out_of_range", "Must be 1 or more, or 0 where nothing is bought.")

    def unfit(self, asked: Asked, quantity: int) -> Iterator[FieldError]:
        """What a wish lacks, or says without being asked."""
        for name in asked.given():
            if name not in self.asks:
                yield FieldError(f"/{name}", "not_asked", "This kind of reward does not ask for it.")

    def cost_tokens(self, price_tokens: int, asked: Asked, quantity: int) -> int:
        return price_tokens * quantity

    def promise(self, asked: Asked, quantity: int) -> Promise:
        return {}


class Service(KindTerms):
    """Something that the partner does or hands over against the voucher: a coffee, an hour of parking."""

    kind: Literal["service"] = "service"
    minutes: int | None = Field(default=None, ge=1, le=525_600, description="How long, such as for parking.")

    def promise(self, asked: Asked, quantity: int) -> Promise:
        return {} if self.minutes is None else {"minutes": self.minutes * quantity}


class Sample(KindTerms):
    """A sample of a product, handed over against the voucher."""

    kind: Literal["sample"] = "sample"


class Discount(KindTerms):
    """A price cut. Its code is the voucher, or one of a pool that the operator uploads for another shop's till."""

    kind: Literal["discount"] = "discount"
    form: Literal["percent", "value", "free_delivery"]
    percent: int | None = Field(default=None, ge=1, le=100)
    amount_minor: AmountMinor | None = None
    currency: Currency | None = None
    codes: Literal["generated", "pool"] = "generated"

    @property
    def draws_codes(self) -> bool:
        return self.codes == "pool"

    def findings(self, price_tokens: int) -> Iterator[FieldError]:
        yield from super().findings(price_tokens)
        wanted = {"percent": {"percent"}, "value": {"amount_minor", "currency"}, "free_delivery": set[str]()}[self.form]
        for name in ("percent", "amount_minor", "currency"):
            if (getattr(self, name) is not None) != (name in wanted):
                yield FieldError(f"/terms/{name}", "form", f"Is for other forms, or missing for {self.form}.")
        if self.amount_minor == 0:
            yield FieldError("/terms/amount_minor", "out_of_range", "Must be 1 or more.")

    def promise(self, asked: Asked, quantity: int) -> Promise:
        return self.model_dump(include={"form", "percent", "amount_minor", "currency"}, exclude_none=True)


class Gift(KindTerms):
    """A thing, handed over against the voucher; or, where it names goods, taken from their stock and delivered."""

    kind: Literal["gift"] = "gift"
    asks: ClassVar[frozenset[str]] = frozenset({"goods", "options"})
    goods: list[ExternalId] = Field(default=[], max_length=GOODS_MAX, description="One, or up to three to choose from.")

    @property
    def goods_offered(self) -> list[str]:
        return self.goods

    def findings(self, price_tokens: int) -> Iterator[FieldError]:
        yield from super().findings(price_tokens)
        if len(set(self.goods)) < len(self.goods):
            yield FieldError("/terms/goods", "repeated", "Each of the goods stands once.")

    def unfit(self, asked: Asked, quantity: int) -> Iterator[FieldError]:
        yield from super().unfit(asked, quantity)
        if asked.goods is None and len(self.goods) > 1:
            yield FieldError("/goods", "option_required", "Choose one of: " + ", ".join(self.goods) + ".")
        elif asked.goods is not None and asked.goods not in self.goods:
            yield FieldError("/goods", "unknown", "This is none of the goods to choose from.")

    def promise(self, asked: Asked, quantity: int) -> Promise:
        chosen = asked.goods or (self.goods[0] if self.goods else None)
        return {} if chosen is None else {"goods": chosen, "options": asked.options}


class Experience(KindTerms):
    """Places at an event; the reward's stock is the capacity, each ticket bears a name."""

    kind: Literal["experience"] = "experience"
    asks: ClassVar[frozenset[str]] = frozenset({"names"})
    starts_at: Instant
    place: Name

    def unfit(self, asked: Asked, quantity: int) -> Iterator[FieldError]:
        yield from super().unfit(asked, quantity)
        if len(asked.names) != quantity:
            yield FieldError("/names", "option_required", f"One name for each of the {quantity} tickets.")

    def promise(self, asked: Asked, quantity: int) -> Promise:
        return {"starts_at": self.starts_at.isoformat(), "place": self.place, "tickets": quantity}


class Digital(KindTerms):
    """Content that is downloaded by links which work once and not for long."""

    kind: Literal["digital"] = "digital"
    content: Digest = Field(description="SHA-256 of an uploaded file.")
    link_life_s: int = Field(default=900, ge=60, le=86_400)
    downloads_max: int = Field(default=3, ge=1, le=100, description="Links of one redemption that may be followed.")

    @property
    def file_digest(self) -> str | None:
        return self.content

    def promise(self, asked: Asked, quantity: int) -> Promise:
        return self.model_dump(include={"content", "link_life_s", "downloads_max"})


class Donation(KindTerms):
    """The partner gives money to a charity for each piece."""

    kind: Literal["donation"] = "donation"
    is_done_at_grant: ClassVar[bool] = True
    charity: Name
    amount_minor: AmountMinor
    currency: Currency

    def promise(self, asked: Asked, quantity: int) -> Promise:
        amount = {"amount_minor": self.amount_minor * quantity, "currency": self.currency}
        return {"charity": self.charity, **amount}


class PriorityService(KindTerms):
    """The member is served first for as long as the voucher lives."""

    kind: Literal["priority_service"] = "priority_service"
    is_entitlement: ClassVar[bool] = True


class ExtendedReturn(KindTerms):
    """More days to bring goods back."""

    kind: Literal["extended_return"] = "extended_return"
    is_entitlement: ClassVar[bool] = True
    extra_days: int = Field(ge=1, le=3_650)

    def promise(self, asked: Asked, quantity: int) -> Promise:
        return {"extra_days": self.extra_days}


class Warranty(KindTerms):
    """More months of warranty."""

    kind: Literal["warranty"] = "warranty"
    is_entitlement: ClassVar[bool] = True
    extra_months: int = Field(ge=1, le=240)

    def promise(self, asked: Asked, quantity: int) -> Promise:
        return {"extra_months": self.extra_months}


class Cashback(KindTerms):
    """Tokens pay for an order: `tokens` of them are worth `per_minor`, and what is less than one cent is not paid."""

    kind: Literal["cashback"] = "cashback"
    asks: ClassVar[frozenset[str]] = frozenset({"order_reference", "tokens"})
    tokens: PositiveTokens
    per_minor: AmountMinor
    currency: Currency
    min_tokens: PositiveTokens = 1
    max_tokens: PositiveTokens = MAX_TOKENS
    step_tokens: PositiveTokens = 1

    def amount_minor(self, tokens: int) -> int:
        """The floor of the exact value: rounding never pays more than the tokens are worth."""
        return tokens * self.per_minor // self.tokens

    def findings(self, price_tokens: int) -> Iterator[FieldError]:
        yield from super().findings(price_tokens)
        if price_tokens != self.min_tokens:
            yield FieldError("/price_tokens", "not_minimum", "Is what it costs at least: min_tokens.")
        if self.max_tokens < self.min_tokens:
            yield FieldError("/terms/max_tokens", "out_of_range", "Must not be less than min_tokens.")
        if self.min_tokens % self.step_tokens:
            yield FieldError("/terms/min_tokens", "step", "Must be a multiple of step_tokens.")
        if not self.amount_minor(self.min_tokens):
            yield FieldError("/terms/min_tokens", "worthless", "So few tokens are worth less than one minor unit.")

    def unfit(self, asked: Asked, quantity: int) -> Iterator[FieldError]:
        yield from super().unfit(asked, quantity)
        if asked.order_reference is None:
            yield FieldError("/order_reference", "option_required", "Say which order is paid for.")
        if quantity != 1:
            yield FieldError("/quantity", "out_of_range", "Say how many tokens, not how many pieces.")
        if asked.tokens is None:
            yield FieldError("/tokens", "option_required", "Say how many tokens to pay with.")
        elif not self.min_tokens <= asked.tokens <= self.max_tokens or asked.tokens % self.step_tokens:
            text = f"From {self.min_tokens} to {self.max_tokens} in steps of {self.step_tokens}."
            yield FieldError("/tokens", "out_of_range", text)

    def cost_tokens(self, price_tokens: int, asked: Asked, quantity: int) -> int:
        return asked.tokens or price_tokens

    def promise(self, asked: Asked, quantity: int) -> Promise:
        return {
            "order_reference": asked.order_reference,
            "amount_minor": self.amount_minor(asked.tokens or 0),
            "currency": self.currency,
        }


class DrawEntry(KindTerms):
    """Entries of a draw; they are recorded when the burn is final, the draw itself comes later."""

    kind: Literal["draw_entry"] = "draw_entry"
    is_done_at_grant: ClassVar[bool] = True
    draw: ExternalId
    entries: int = Field(default=1, ge=1, le=100)

    def promise(self, asked: Asked, quantity: int) -> Promise:
        return {"draw": self.draw, "entries": self.entries * quantity}


class Instalment(KindTerms):
    """Whoever is in the audience may ask a licensed lender; nothing is bought and no credit is granted here."""

    kind: Literal["instalment"] = "instalment"
    is_bought: ClassVar[bool] = False
    hand_over_url: Url


_Kind = (
    Service
    | Sample
    | Discount
    | Gift
    | Experience
    | Digital
    | Donation
    | PriorityService
    | ExtendedReturn
    | Warranty
    | Cashback
    | DrawEntry
    | Instalment
)
Terms = Annotated[_Kind, Field(discriminator="kind")]

KINDS: Final[Mapping[str, type[KindTerms]]] = {str(one.model_fields["kind"].default): one for one in get_args(_Kind)}
_READER: Final[TypeAdapter[Any]] = TypeAdapter(Terms)


def read_terms(stored: Mapping[str, object]) -> Terms:
    """The terms that a table holds."""
    terms: Terms = _READER.validate_python(dict(stored))
    return terms
