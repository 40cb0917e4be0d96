"""What a filter may ask: `all`, `any` and `not` over questions, read from JSON and refused by pointer. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from mereau.core.amounts import MAX_AMOUNT_MINOR, MAX_TOKENS
from mereau.core.errors import FieldError, InvalidInputError
from mereau.core.strict_json import escape_pointer
from mereau.members.consents.domain import ConsentKind
from mereau.segments.facts.domain import LIFECYCLES, SCORES

DEPTH_MAX: Final = 6
NODES_MAX: Final = 50
DAYS_MAX: Final = 36_500
BIRTHDAY_DAYS_MAX: Final = 364
NAMES_MAX: Final = 100
NAME_LENGTH_MAX: Final = 128
_COUNT_MAX: Final = 10**9
_NAME: Final = re.compile(r"[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?")


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends belong to it; None: open."""

    min: int | None = None
    max: int | None = None

    def __contains__(self, figure: int) -> bool:
        return (self.min is None or figure >= self.min) and (self.max is None or figure <= self.max)


@dataclass(frozen=True, slots=True)
class Purchases:
    """Sales of which something was kept: over the last `within_days`, and of what and where the names say.

    `amount_minor` and `average_minor` are of the lines that are asked for, less discounts and returns; nobody
    without such a purchase has an average. With no range at all: at least one.
    """

    within_days: int | None = None
    count: Range | None = None
    amount_minor: Range | None = None
    average_minor: Range | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


PURCHASE_NAMES: Final = (
    "partner_ids", "location_ids", "channels", "skus", "categories", "brands", "labels",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DaysAgo:
    """How many full days (24 hours) ago it was: `event` enrolled, first_purchase or last_purchase."""

    event: str
    days: Range


@dataclass(frozen=True, slots=True)
class Balance:
    """Tokens that may be spent now."""

    tokens: Range


@dataclass(frozen=True, slots=True)
class Scores:
    """A cell, or a block of cells, of recency, frequency and monetary; see `segments.facts.domain`."""

    recency: Range
    frequency: Range
    monetary: Range


@dataclass(frozen=True, slots=True)
class Birthday:
    """Today or in so many days at most, by the programme's calendar; 29 February is the 28th in other years."""

    within_days: int


@dataclass(frozen=True, slots=True)
class Consented:
    """The last that the member said to this kind of consent was yes."""

    kind: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """`what` (tier, lifecycle, locale, label, static_list) is one of the names; tiers and lists by external id."""

    what: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """`all` or `any` of the parts."""

    word: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Whoever the part does not find."""

    part: "Node"


Question = Purchases | DaysAgo | Balance | Scores | Birthday | Consented | OneOf
Node = Group | Not | Question

_EVENTS: Final = ("enrolled", "first_purchase", "last_purchase")
_CHOICES: Final = ("tier", "lifecycle", "locale", "label", "static_list")
_NOTHING: Final = OneOf("locale", ())


def parse_filter(raw: object, pointer: str = "/filter") -> Node:
    """The tree of a filter; InvalidInputError names every wrong place by its JSON pointer."""
    reader = _Reader()
    node = reader.node(raw, pointer, 1)
    if reader.findings:
        raise InvalidInputError("The filter is not valid.", errors=reader.findings)
    return node


def questions(node: Node) -> Iterator[Question]:
    """Every question of a tree."""
    if isinstance(node, Group):
        for part in node.parts:
            yield from questions(part)
    elif isinstance(node, Not):
        yield from questions(node.part)
    else:
        yield node


class _Reader:
    """Reads one filter and collects every finding instead of the first."""

    def __init__(self) -> None:
        self.findings: list[FieldError] = []
        self._nodes = 0

    def refuse(self, pointer: str, detail: str) -> None:
        self.findings.append(FieldError(pointer, "invalid", detail))

    def node(self, raw: object, pointer: str, depth: int) -> Node:
        self._nodes += 1
        if depth > DEPTH_MAX or self._nodes > NODES_MAX:
            self._refuse_size(pointer)
        elif not isinstance(raw, Mapping) or len(raw) != 1:
            self.refuse(pointer, "must be an object with one field: all, any, not or a question")
        else:
            ((word, said),) = raw.items()
            return self._part(word, said, f"{pointer}/{escape_pointer(str(word))}", depth)
        return _NOTHING

    def _refuse_size(self, pointer: str) -> None:
        """Once, however much there is."""
        if not any(found.code == "too_large" for found in self.findings):
            detail = f"A filter has at most {DEPTH_MAX} levels and {NODES_MAX} parts."
            self.findings.append(FieldError(pointer, "too_large", detail))

    def _part(self, word: str, said: object, pointer: str, depth: int) -> Node:
        if word in {"all", "any"}:
            return self._group(word, said, pointer, depth)
        if word == "not":
            return Not(self.node(said, pointer, depth + 1))
        read = _QUESTIONS.get(word)
        if read is not None and isinstance(said, Mapping):
            return read(self, word, said, pointer)
        known = f"must be all, any, not, or one of {', '.join(_QUESTIONS)}"
        self.refuse(pointer, known if read is None else "must be an object")
        return _NOTHING

    def _group(self, word: str, said: object, pointer: str, depth: int) -> Node:
        if not isinstance(said, Sequence) or isinstance(said, str) or not said:
            self.refuse(pointer, "must be a list of at least one part")
            return _NOTHING
        parts = enumerate(said[: NODES_MAX + 1])
        return Group(word, tuple(self.node(part, f"{pointer}/{i}", depth + 1) for i, part in parts))

    def fields(self, said: Mapping[str, Any], pointer: str, known: Sequence[str]) -> None:
        for name in said:
            if name not in known:
                self.refuse(f"{pointer}/{escape_pointer(str(name))}", f"must be one of {', '.join(known)}")

    def integer(self, value: object, pointer: str, low: int, high: int) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(pointer, f"must be an integer from {low} to {high}")
            return None
        return value

    def range(self, said: Mapping[str, Any], name: str, pointer: str, low: int, high: int) -> Range | None:
        """`{"min": ..., "max": ...}` under this name; None where it is absent."""
        if name not in said:
            return None
        return self.ends(said[name], f"{pointer}/{name}", low, high)

    def ends(self, value: object, pointer: str, low: int, high: int) -> Range:
        if not isinstance(value, Mapping) or not value:
            self.refuse(pointer, "must hold min, max or both")
            return Range()
        self.fields(value, pointer, ("min", "max"))
        ends = [
            self.integer(value[end], f"{pointer}/{end}", low, high) if end in value else None for end in ("min", "max")
        ]
        if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
            self.refuse(pointer, "min must not be above max")
        return Range(*ends)

    def names(self, value: object, pointer: str, among: Sequence[str] | None = None) -> tuple[str, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence) or not 0 < len(value) <= NAMES_MAX:
            self.refuse(pointer, f"must be a list of 1 to {NAMES_MAX} texts")
            return ()
        for i, item in enumerate(value):
            if not isinstance(item, str) or len(item) > NAME_LENGTH_MAX or not _NAME.fullmatch(item):
                self.refuse(f"{pointer}/{i}", f"must be a plain text of 1 to {NAME_LENGTH_MAX} characters")
            elif among is not None and item not in among:
                self.refuse(f"{pointer}/{i}", f"must be one of {', '.join(among)}")
        return tuple(str(item) for item in value)


def _purchases(reader: _Reader, word: str, said: Mapping[str, Any], pointer: str) -> Question:
    reader.fields(said, pointer, ("within_days", "count", "amount_minor", "average_minor", *PURCHASE_NAMES))
    within = said.get("within_days")
    return Purchases(
        None if within is None else reader.integer(within, f"{pointer}/within_days", 1, DAYS_MAX),
        reader.range(said, "count", pointer, 0, _COUNT_MAX),
        reader.range(said, "amount_minor", pointer, -MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR),
        reader.range(said, "average_minor", pointer, -MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR),
        {name: reader.names(said[name], f"{pointer}/{name}") for name in PURCHASE_NAMES if name in said},
    )


def _days_ago(reader: _Reader, word: str, said: Mapping[str, Any], pointer: str) -> Question:
    reader.fields(said, pointer, ("days_ago",))
    return DaysAgo(word, reader.ends(said.get("days_ago"), f"{pointer}/days_ago", 0, DAYS_MAX))


def _balance(reader: _Reader, word: str, said: Mapping[str, Any], pointer: str) -> Question:
    reader.fields(said, pointer, ("tokens",))
    return Balance(reader.ends(said.get("tokens"), f"{pointer}/tokens", 0, MAX_TOKENS))


def _scores(reader: _Reader, word: str, said: Mapping[str, Any], pointer: str) -> Question:
    names = ("recency", "frequency", "monetary")
    reader.fields(said, pointer, names)
    if not said:
        reader.refuse(pointer, f"must hold {', '.join(names)} or some of them")
    return Scores(*(reader.range(said, name, pointer, 1, SCORES) or Range(1, SCORES) for name in names))


def _birthday(reader: _Reader, word: str, said: Mapping[str, Any], pointer: str) -> Question:
    reader.fields(said, pointer, ("within_days",))
    days = reader.integer(said.get("within_days"), f"{pointer}/within_days", 0, BIRTHDAY_DAYS_MAX)
    return Birthday(days or 0)


def _consent(reader: _Reader, word: str, said: Mapping[str, Any], pointer: str) -> Question:
    reader.fields(said, pointer, ("kind",))
    kind = said.get("kind")
    if kind not in get_args(ConsentKind):
        reader.refuse(f"{pointer}/kind", f"must be one of {', '.join(get_args(ConsentKind))}")
    return Consented(str(kind))


def _one_of(reader: _Reader, word: str, said: Mapping[str, Any], pointer: str) -> Question:
    reader.fields(said, pointer, ("in",))
    among = LIFECYCLES if word == "lifecycle" else None
    return OneOf(word, reader.names(said.get("in"), f"{pointer}/in", among))


_QUESTIONS: Final[dict[str, Callable[[_Reader, str, Mapping[str, Any], str], Question]]] = {
    "purchases": _purchases,
    **dict.fromkeys(_EVENTS, _days_ago),
    "balance": _balance,
    "rfm": _scores,
    "birthday": _birthday,
    "consent": _consent,
    **dict.fromkeys(_CHOICES, _one_of),
}
