"""What the rules give, worked out a second time: plainly, slowly, from the stored form of each rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from mereau.sales.domain import SaleLineDraft

Spec = Mapping[str, Any]


@dataclass
class Books:
    """Uses and tokens by (rule or "" for the programme), occasions seen by rule; one member, one endless period."""

    uses: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)


def in_scope(spec: Spec, line: SaleLineDraft) -> bool:
    wanted = spec.get("included_skus", [])
    return line.eligible and (not wanted or line.sku in wanted)


def amounts_of(spec: Spec, lines: Sequence[SaleLineDraft]) -> list[int]:
    return [max(0, line.amount_minor - line.discount_minor) if in_scope(spec, line) else 0 for line in lines]


def units_of(spec: Spec, lines: Sequence[SaleLineDraft]) -> list[int]:
    return [line.quantity if in_scope(spec, line) else 0 for line in lines]


def shared(tokens: int, weights: Sequence[int]) -> list[int]:
    """Largest remainder, with fractions: whole parts first, then one each to the largest rests."""
    whole = sum(weights)
    exact = [Fraction(tokens * weight, whole) for weight in weights]
    parts = [int(part) for part in exact]
    rests = sorted(range(len(weights)), key=lambda i: (parts[i] - exact[i], i))
    for i in rests[: tokens - sum(parts)]:
        parts[i] += 1
    return parts


def pots_of(name: str, spec: Spec) -> list[tuple[str, Spec]]:
    """Where each limit of a rule is counted."""
    return [("" if limit["per"] == "programme" else name, limit) for limit in spec.get("limits", [])]


def has_something_left(name: str, spec: Spec, books: Books) -> bool:
    return all(
        books.uses.get(pot, 0) < limit.get("uses", float("inf"))
        and books.tokens.get(pot, 0) < limit.get("tokens", float("inf"))
        for pot, limit in pots_of(name, spec)
    )


def within_limits(name: str, spec: Spec, tokens: int, books: Books) -> int:
    """What the limits leave of an award; 0 where one refuses it."""
    if not has_something_left(name, spec, books):
        return 0
    left = tokens
    for pot, limit in pots_of(name, spec):
        room = limit.get("tokens", tokens) - books.tokens.get(pot, 0)
        if room < tokens and "tokens" in limit:
            if limit["over"] == "refuse":
                return 0
            left = min(left, room)
    return left


def wish(
    name: str, spec: Spec, lines: Sequence[SaleLineDraft], base: Sequence[int], books: Books
) -> tuple[int, list[int]]:
    """What a rule would give without limits, and the weights of the lines."""
    amounts, units = amounts_of(spec, lines), units_of(spec, lines)
    if not any(units) or sum(amounts) < spec.get("minimum_minor", 0) or not has_something_left(name, spec, books):
        return 0, units
    weights = amounts if any(amounts) else units
    if "rate" in spec:
        return sum(amounts) * spec["rate"]["tokens"] // spec["rate"]["per_minor"], amounts
    if "fixed" in spec:
        each = spec["fixed"]
        return (each["tokens"] * sum(units), units) if each["per"] == "item" else (each["tokens"], weights)
    if "multiplier" in spec:
        mine = [tokens if unit else 0 for tokens, unit in zip(base, units, strict=True)]
        return sum(mine) * (spec["multiplier"]["percent"] - 100) // 100, mine
    books.seen[name] = books.seen.get(name, 0) + 1
    nth = spec["every_nth"]
    return (nth["tokens"] if books.seen[name] // nth["n"] > books.uses.get(name, 0) else 0), weights


def stand(wishes: Sequence[tuple[str, Spec, int, list[int]]]) -> list[tuple[str, Spec, int, list[int]]]:
    """Those of a round that stand beside each other, in their order."""
    standing = []
    for group in (None, "promo"):
        mine = [one for one in wishes if one[1].get("stacking_group") == group]
        alone = [one for one in mine if one[1].get("stacking") == "exclusive"]
        if alone:
            standing.append(alone[0])
            continue
        best = [one for one in mine if one[1].get("stacking") == "best_of"]
        top = max((one[2] for one in best), default=0)
        standing += [next(one for one in best if one[2] == top)] if best else []
        standing += [one for one in mine if one[1].get("stacking", "additive") == "additive"]
    return [one for one in wishes if one in standing]


def give(specs: Mapping[str, Spec], lines: Sequence[SaleLineDraft], books: Books) -> dict[str, list[int]]:
    """Rule -> tokens of each line, in the order in which the rules fired; the books are after it."""
    order = sorted(specs, key=lambda name: (-specs[name].get("priority", 0), name))
    given: dict[str, list[int]] = {}
    for multiplies in (False, True):
        base = [sum(shares) for shares in zip(*given.values(), strict=True)] if given else [0] * len(lines)
        wishes = []
        for name in order:
            if ("multiplier" in specs[name]) == multiplies:
                tokens, weights = wish(name, specs[name], lines, base, books)
                wishes += [(name, specs[name], tokens, weights)] if tokens > 0 else []
        for name, spec, tokens, weights in stand(wishes):
            if granted := within_limits(name, spec, tokens, books):
                given[name] = shared(granted, weights)
                count(name, spec, granted, books)
    return given


def count(name: str, spec: Spec, tokens: int, books: Books) -> None:
    pots = {pot for pot, _ in pots_of(name, spec)} | ({name} if "every_nth" in spec else set())
    for pot in pots:
        books.uses[pot] = books.uses.get(pot, 0) + 1
        books.tokens[pot] = books.tokens.get(pot, 0) + tokens
