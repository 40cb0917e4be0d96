"""What an earning rule may say, as structured data: `parse_spec` reads it, `RuleSpec.to_dict` writes it. Pure.

Money is in minor units of the programme's currency, tokens are whole. A line's `amount_minor` is what the
line costs before its discount, tax included; `tax_minor` is the tax inside it; `discount_minor` is positive.
Periods, weekdays and hours are those of the programme's time zone, at the moment of the occasion.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Final, Literal, Protocol, get_args

from pydantic import Field, PlainSerializer, Strict, ValidationError

from mereau.core.amounts import MAX_AMOUNT_MINOR, MAX_TOKENS
from mereau.core.errors import FieldError, InvalidInputError
from mereau.core.schemas import Instant, Label, ObjectId, Request
from mereau.core.strict_json import escape_pointer
from mereau.programs.lives.domain import Calendar, Delayed, Immediate, Never, OnDates, OnEvent, Rolling

Trigger = Literal[
    "sale", "sign_up", "first_purchase", "newsletter_opt_in", "profile_completed", "review_approved",
    "survey_answered", "contest_entered", "social_action", "referral_referrer", "referral_referred", "birthday",
    "tenure", "win_back", "custom_event", "code", "tier_reached", "object_activated", "object_taken_back",
]  # fmt: skip
TRIGGERS: Final[tuple[str, ...]] = get_args(Trigger)
Period = Literal["day", "week", "month", "quarter", "half_year", "year", "ever"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[str, ...]] = get_args(Weekday)
AWARDS: Final = ("rate", "fixed", "every_nth", "multiplier", "amount")

NAMES_MAX: Final = 1_000
EXPRESSION_CHARS_MAX: Final = 500
LIMITS_MAX: Final = 10
PRIORITY_MAX: Final = 1_000_000

# A set in any order on the wire, sorted where it is stored: what decides alike has one digest.
Names = Annotated[frozenset[Label], Strict(strict=False), Field(max_length=NAMES_MAX), PlainSerializer(sorted)]
Expression = Annotated[str, Field(min_length=1, max_length=EXPRESSION_CHARS_MAX)]
AwardTokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
TimeOfDay = Annotated[str, Field(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
NOBODY: Final[frozenset[str]] = frozenset()


class Rate(Request):
    """`tokens` for every `per_minor` of eligible amount; 1 per 100 is one token per whole unit of money."""

    tokens: AwardTokens
    per_minor: int = Field(ge=1, le=MAX_AMOUNT_MINOR)


class Fixed(Request):
    """A number of tokens per occasion, per unit of the goods in scope, or per visit: once a member and day."""

    tokens: AwardTokens
    per: Literal["occasion", "item", "visit"] = "occasion"


class EveryNth(Request):
    """`tokens` at every `n`-th qualifying occasion of a member in a period."""

    n: int = Field(ge=2, le=10_000)
    tokens: AwardTokens
    period: Period = "ever"


class Multiplier(Request):
    """Raises what the other rules earned on the goods in scope to `percent` % of it: 200 doubles it.

    With `by_tier`, the percentage is that of the member's tier.
    """

    percent: int | None = Field(default=None, ge=101, le=10_000)
    by_tier: bool = False


class Audience(Request):
    """Whom and where a rule is for: one of each list that is not empty. Tiers and segments by external id."""

    tiers: Names = NOBODY
    segments: Names = NOBODY
    partners: Names = NOBODY
    locations: Names = NOBODY
    channels: Names = NOBODY


class Hours(Request):
    """From `starts` until just before `ends`; where `ends` is earlier, past midnight."""

    starts: TimeOfDay
    ends: TimeOfDay


class Window(Request):
    """When a rule fires: from `starts_at` until just before `ends_at`, on these weekdays, within these hours."""

    starts_at: Instant | None = None
    ends_at: Instant | None = None
    weekdays: list[Weekday] = Field(default=[], max_length=7)
    hours: list[Hours] = Field(default=[], max_length=10)

    def holds(self, at: datetime) -> bool:
        """Whether an instant lies between its dates, whatever the weekday and the hour."""
        return (self.starts_at is None or at >= self.starts_at) and (self.ends_at is None or at < self.ends_at)


class Limit(Request):
    """How often, or for how many tokens, a rule fires in a period, and what it does with an award beyond.

    Per `member` and per `rule` count what this rule gave, whichever of its versions; per `programme` counts,
    in one common sum, what all rules gave that name such a limit for the same period. A limit of tokens per
    rule or programme is a budget: its end is announced once a period.
    """

    per: Literal["member", "rule", "programme"]
    period: Period
    uses: int | None = Field(default=None, ge=1, le=MAX_TOKENS)
    tokens: AwardTokens | None = None
    over: Literal["reduce", "refuse"] = "reduce"


class RuleSpec(Request):
    """Everything that decides what an occasion earns. `minimum_minor` is compared with its eligible amount.

    Goods are in scope where they meet one of the `included_` lists (all, where those are empty) and none of the
    `excluded_` ones. Of rules in one stacking group, an `exclusive` one that earns stands alone (the one of
    highest priority), and of those `best_of` only the one that earns most stands.
    """

    trigger: Trigger = "sale"
    rate: Rate | None = None
    fixed: Fixed | None = None
    every_nth: EveryNth | None = None
    multiplier: Multiplier | None = None
    amount: Expression | None = Field(default=None, description="CEL: the tokens, as an integer.")
    basis: Literal["pre_discount", "post_discount"] = "post_discount"
    include_tax: bool = True
    include_shipping: bool = False
    minimum_minor: int = Field(default=0, ge=0, le=MAX_AMOUNT_MINOR)
    included_skus: Names = NOBODY
    included_categories: Names = NOBODY
    included_brands: Names = NOBODY
    included_labels: Names = NOBODY
    excluded_skus: Names = NOBODY
    excluded_categories: Names = NOBODY
    excluded_brands: Names = NOBODY
    excluded_labels: Names = NOBODY
    audience: Audience = Audience()
    window: Window = Window()
    match: dict[Label, Names] = Field(default={}, max_length=10, description="What attributes of the occasion say.")
    condition: Expression | None = Field(default=None, description="CEL: true or false.")
    first_only: bool = Field(default=False, description="Only at the member's first purchase.")
    limits: list[Limit] = Field(default=[], max_length=LIMITS_MAX)
    priority: int = Field(default=0, ge=-PRIORITY_MAX, le=PRIORITY_MAX, description="The highest comes first.")
    stacking: Literal["additive", "best_of", "exclusive"] = "additive"
    stacking_group: Label | None = None
    activation: Delayed | OnDates | OnEvent | Immediate | None = Field(
        default=None, discriminator="mode", description="When the tokens are spendable, in place of the programme's."
    )
    expiry: Never | Rolling | Calendar | None = Field(
        default=None, discriminator="mode", description="When the tokens expire, in place of the programme's."
    )
    issuer_partner_id: ObjectId | None = Field(default=None, description="Pays where the occasion names no partner.")

    def to_dict(self) -> dict[str, object]:
        """The stored form: `parse_spec` reads it back to an equal rule. What is as it was by default is left out."""
        whole = self.model_dump(mode="json")
        said = self.model_dump(mode="json", exclude_defaults=True)
        lives = {name: whole[name] for name in ("activation", "expiry") if name in said}  # Their mode is a default.
        return {name: whole[name] for name in _ALWAYS} | said | lives


_ALWAYS: Final = (
    "basis", "include_tax", "include_shipping", "excluded_skus", "excluded_categories", "minimum_minor",
)  # fmt: skip
_OF_GOODS: Final = (
    "include_shipping", "minimum_minor", "included_skus", "included_categories", "included_brands", "included_labels",
    "excluded_skus", "excluded_categories", "excluded_brands", "excluded_labels", "first_only",
)  # fmt: skip


class Line(Protocol):
    """What a rule looks at in a line of a sale."""

    @property
    def sku(self) -> str: ...
    @property
    def category(self) -> str | None: ...
    @property
    def brand(self) -> str | None: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def quantity(self) -> int: ...
    @property
    def amount_minor(self) -> int: ...
    @property
    def discount_minor(self) -> int: ...
    @property
    def tax_minor(self) -> int: ...
    @property
    def eligible(self) -> bool: ...


def _contradictions(spec: RuleSpec) -> Iterator[FieldError]:
    """What each field may say and all together may not."""
    awards = [name for name in AWARDS if getattr(spec, name) is not None]
    if len(awards) != 1:
        detail = f"exactly one of {', '.join(AWARDS)} is expected"
        yield from (FieldError(f"/{name}", "one_of", detail) for name in awards or ["rate"])
    if spec.trigger != "sale":
        yield from _without_goods(spec)
    if spec.first_only and spec.trigger != "sale":
        yield FieldError("/first_only", "not_a_sale", "only a rule of sales knows a first purchase")
    if spec.multiplier is not None and (spec.multiplier.percent is None) != spec.multiplier.by_tier:
        yield FieldError("/multiplier/percent", "one_of", "either percent or by_tier is expected")
    window = spec.window
    if window.starts_at is not None and window.ends_at is not None and window.starts_at >= window.ends_at:
        yield FieldError("/window/ends_at", "too_early", "must lie after starts_at")
    for i, hours in enumerate(window.hours):
        if hours.starts == hours.ends:
            yield FieldError(f"/window/hours/{i}/ends", "empty", "must differ from starts")
    for i, limit in enumerate(spec.limits):
        if limit.uses is None and limit.tokens is None:
            yield FieldError(f"/limits/{i}", "one_of", "uses or tokens is expected")


def _without_goods(spec: RuleSpec) -> Iterator[FieldError]:
    """What only a sale has, in a rule of another trigger."""
    for name in _OF_GOODS[:-1]:
        if getattr(spec, name):
            yield FieldError(f"/{name}", "not_a_sale", "only a rule of sales has goods")
    for name in ("rate", "multiplier"):
        if getattr(spec, name) is not None:
            yield FieldError(f"/{name}", "not_a_sale", "only a rule of sales has amounts")
    if spec.fixed is not None and spec.fixed.per == "item":
        yield FieldError("/fixed/per", "not_a_sale", "only a rule of sales has items")


def parse_spec(raw: Mapping[str, object]) -> RuleSpec:
    """Build a rule from its JSON form; raises InvalidInputError that names every wrong field by pointer."""
    try:
        spec = RuleSpec.model_validate(dict(raw))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        found = [FieldError(_pointer(item["loc"]), str(item["type"]), str(item["msg"])) for item in details]
        raise InvalidInputError("The earning rule is not valid.", errors=found) from None
    if contradictions := list(_contradictions(spec)):
        raise InvalidInputError("The earning rule is not valid.", errors=contradictions)
    return spec


def _pointer(place: tuple[int | str, ...]) -> str:
    return "".join(f"/{escape_pointer(str(token))}" for token in place)
