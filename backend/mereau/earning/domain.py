"""What a sale earns and what a return takes back: integers in, integers out, no I/O.

Money is in minor units of the programme's currency, tokens are whole. A line's `amount_minor` is what the
line costs before its discount, tax included; `tax_minor` is the tax inside it; `discount_minor` is positive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from mereau.core.amounts import MAX_AMOUNT_MINOR, MAX_TOKENS, share_by_largest_remainder
from mereau.core.errors import FieldError, InvalidInputError

EXCLUSIONS_MAX: Final = 1_000
NAME_LENGTH_MAX: Final = 255


class Basis(StrEnum):
    """Whether a line counts before or after its discount."""

    PRE_DISCOUNT = "pre_discount"
    POST_DISCOUNT = "post_discount"


@dataclass(frozen=True, slots=True)
class Rate:
    """`tokens` for every `per_minor` of eligible amount; 1 per 100 is one token per whole unit of money."""

    tokens: int
    per_minor: int


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """Everything that decides what a sale earns. `minimum_minor` is compared with the sale's eligible amount."""

    rate: Rate
    basis: Basis = Basis.POST_DISCOUNT
    include_tax: bool = True
    include_shipping: bool = False
    excluded_skus: frozenset[str] = frozenset()
    excluded_categories: frozenset[str] = frozenset()
    minimum_minor: int = 0

    def to_dict(self) -> dict[str, object]:
        """The stored form: `parse_spec` reads it back to an equal rule."""
        return {
            "rate": {"tokens": self.rate.tokens, "per_minor": self.rate.per_minor},
            "basis": self.basis.value,
            "include_tax": self.include_tax,
            "include_shipping": self.include_shipping,
            "excluded_skus": sorted(self.excluded_skus),
            "excluded_categories": sorted(self.excluded_categories),
            "minimum_minor": self.minimum_minor,
        }


class Line(Protocol):
    """What a rule looks at in a line of a sale."""

    @property
    def sku(self) -> str: ...
    @property
    def category(self) -> str | None: ...
    @property
    def amount_minor(self) -> int: ...
    @property
    def discount_minor(self) -> int: ...
    @property
    def tax_minor(self) -> int: ...
    @property
    def eligible(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Earned:
    """The outcome for one sale: `line_eligible_minor` and `line_tokens` stand in the order of its lines."""

    eligible_minor: int
    tokens: int
    line_eligible_minor: tuple[int, ...]
    line_tokens: tuple[int, ...]


class _SpecReader:
    """Reads the stored or submitted form of a rule and collects every finding instead of the first."""

    def __init__(self, raw: Mapping[str, object], prefix: str = "") -> None:
        self.raw = raw
        self.prefix = prefix
        self.findings: list[FieldError] = []

    def refuse(self, name: str, detail: str) -> None:
        self.findings.append(FieldError(f"{self.prefix}/{name}", "invalid", detail))

    def refuse_unknown(self, known: set[str]) -> None:
        for name in sorted(self.raw.keys() - known):
            self.refuse(name, "is not a field of an earning rule")

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        value = self.raw.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(name, f"must be an integer from {low} to {high}")
            return low
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.raw.get(name, default)
        if not isinstance(value, bool):
            self.refuse(name, "must be true or false")
            return default
        return value

    def names(self, name: str) -> frozenset[str]:
        value = self.raw.get(name, ())
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > EXCLUSIONS_MAX:
            self.refuse(name, f"must be a list of at most {EXCLUSIONS_MAX} texts")
            return frozenset()
        texts = [item for item in value if isinstance(item, str) and 0 < len(item) <= NAME_LENGTH_MAX]
        if len(texts) < len(value):
            self.refuse(name, f"must hold texts of 1 to {NAME_LENGTH_MAX} characters")
        return frozenset(texts)


def _read_rate(reader: _SpecReader) -> Rate:
    raw = reader.raw.get("rate")
    if not isinstance(raw, Mapping):
        reader.refuse("rate", "must hold tokens and per_minor")
        return Rate(1, 1)
    nested = _SpecReader(raw, f"{reader.prefix}/rate")
    nested.refuse_unknown({"tokens", "per_minor"})
    rate = Rate(nested.integer("tokens", 1, MAX_TOKENS), nested.integer("per_minor", 1, MAX_AMOUNT_MINOR))
    reader.findings += nested.findings
    return rate


def parse_spec(raw: Mapping[str, object]) -> RuleSpec:
    """Build a rule from its JSON form; raises InvalidInputError that names every wrong field by pointer."""
    reader = _SpecReader(raw)
    reader.refuse_unknown(
        {
            "rate",
            "basis",
            "include_tax",
            "include_shipping",
            "excluded_skus",
            "excluded_categories",
            "minimum_minor",
        }
    )
    basis = raw.get("basis", Basis.POST_DISCOUNT.value)
    if basis not in [item.value for item in Basis]:
        reader.refuse("basis", f"must be one of {', '.join(Basis)}")
        basis = Basis.POST_DISCOUNT
    spec = RuleSpec(
        rate=_read_rate(reader),
        basis=Basis(str(basis)),
        include_tax=reader.flag("include_tax", default=True),
        include_shipping=reader.flag("include_shipping", default=False),
        excluded_skus=reader.names("excluded_skus"),
        excluded_categories=reader.names("excluded_categories"),
        minimum_minor=reader.integer("minimum_minor", 0, MAX_AMOUNT_MINOR, 0),
    )
    if reader.findings:
        raise InvalidInputError("The earning rule is not valid.", errors=reader.findings)
    return spec


def line_eligible_minor(spec: RuleSpec, line: Line) -> int:
    """The part of one line that earns; never negative, so no line takes from what another earns."""
    if not line.eligible or line.sku in spec.excluded_skus or line.category in spec.excluded_categories:
        return 0
    amount_minor = line.amount_minor
    if spec.basis is Basis.POST_DISCOUNT:
        amount_minor -= line.discount_minor
    if not spec.include_tax:
        amount_minor -= line.tax_minor
    return max(amount_minor, 0)


def evaluate(spec: RuleSpec, lines: Sequence[Line], shipping_minor: int) -> Earned:
    """Tokens of one sale: floor(rate x eligible amount), shared among its lines by largest remainder.

    Shipping, where it counts, raises the sale's amount and its tokens follow the lines in proportion to
    what they earn: returning every line takes back every token. A sale with no eligible line earns nothing.
    """
    weights = tuple(line_eligible_minor(spec, line) for line in lines)
    eligible_minor = sum(weights)
    if eligible_minor and spec.include_shipping:
        eligible_minor += max(shipping_minor, 0)
    tokens = 0
    if eligible_minor >= spec.minimum_minor:
        tokens = eligible_minor * spec.rate.tokens // spec.rate.per_minor
    shares = share_by_largest_remainder(tokens, weights)
    return Earned(eligible_minor, tokens, weights, tuple(shares))
