"""Filters at their edges: the last figure that is taken, the first that is not, and nothing that breaks the reader."""

from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mereau.core.amounts import MAX_AMOUNT_MINOR, MAX_TOKENS
from mereau.core.errors import InvalidInputError
from mereau.members.consents.domain import ConsentKind
from mereau.segments.facts.domain import LIFECYCLES
from mereau.segments.filters.domain import (
    BIRTHDAY_DAYS_MAX,
    DAYS_MAX,
    DEPTH_MAX,
    NAME_LENGTH_MAX,
    NAMES_MAX,
    NODES_MAX,
    PURCHASE_NAMES,
    Group,
    Not,
    OneOf,
    Range,
    parse_filter,
    questions,
)
from mereau.segments.schemas import SegmentPreviewCreate

FRENCH = {"locale": {"in": ["fr"]}}


def ranged(question: str, figure: str, low: int, high: int) -> list[tuple[str, list[Any], list[Any]]]:
    """For both ends of a range: what is taken, what is not."""
    return [(f"/{question}/{figure}/{end}", [low, high], [low - 1, high + 1, str(low), None]) for end in ("min", "max")]


EDGES = [
    ("/purchases/within_days", [1, DAYS_MAX], [0, DAYS_MAX + 1, 1.0, "1", True]),
    *ranged("purchases", "count", 0, 10**9),
    *ranged("purchases", "amount_minor", -MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR),
    *ranged("purchases", "average_minor", -MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR),
    *ranged("enrolled", "days_ago", 0, DAYS_MAX),
    *ranged("first_purchase", "days_ago", 0, DAYS_MAX),
    *ranged("last_purchase", "days_ago", 0, DAYS_MAX),
    *ranged("balance", "tokens", 0, MAX_TOKENS),
    *ranged("rfm", "recency", 1, 5),
    *ranged("rfm", "frequency", 1, 5),
    *ranged("rfm", "monetary", 1, 5),
    ("/birthday/within_days", [0, BIRTHDAY_DAYS_MAX], [-1, BIRTHDAY_DAYS_MAX + 1, None, False]),
    ("/consent/kind", list(get_args(ConsentKind)), ["cookies", "", None, 1, "Newsletter"]),
    ("/lifecycle/in/0", list(LIFECYCLES), ["old", "", None, "New"]),
]


def at(path: str, value: Any) -> Any:
    """A document that holds a value at that place, and nothing else."""
    document = value
    for name in reversed(path.split("/")[1:]):
        document = [document] if name == "0" else {name: document}
    return document


def refused(raw: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInputError) as caught:
        parse_filter(raw)
    return [(found.pointer, found.code) for found in caught.value.errors]


@pytest.mark.parametrize(("path", "taken", "wrong"), EDGES, ids=[edge[0] for edge in EDGES])
def test_each_figure_has_its_edges(path: str, taken: Sequence[Any], wrong: Sequence[Any]) -> None:
    for value in taken:
        assert parse_filter(at(path, value))
    for value in wrong:
        assert refused(at(path, value)) == [(f"/filter{path}", "invalid")], value


@pytest.mark.parametrize("what", ["tier", "lifecycle", "locale", "label", "static_list"])
def test_names_are_some_and_not_too_many(what: str) -> None:
    name = "new" if what == "lifecycle" else "fr"
    assert parse_filter({what: {"in": [name] * NAMES_MAX}}) == OneOf(what, (name,) * NAMES_MAX)
    for names in ([], [name] * (NAMES_MAX + 1), name, {name: 1}, None):
        assert refused({what: {"in": names}}) == [(f"/filter/{what}/in", "invalid")]
    assert refused({what: {}}) == [(f"/filter/{what}/in", "invalid")]


@pytest.mark.parametrize("name", PURCHASE_NAMES)
def test_names_of_what_was_bought_are_plain(name: str) -> None:
    longest = "x" * NAME_LENGTH_MAX
    read = parse_filter({"purchases": {name: ["a b", "é", longest]}})
    assert read.names == {name: ("a b", "é", longest)}  # type: ignore[union-attr] # a question about purchases
    wrong = ["", " a", "a ", "a\tb", "\x7f", longest + "x", 1, None, ["a"]]
    assert refused({"purchases": {name: wrong}}) == [
        (f"/filter/purchases/{name}/{place}", "invalid") for place in range(len(wrong))
    ]


def tree(levels: int, width: int) -> dict[str, Any]:
    """`levels` of groups with `width` parts each, questions at the bottom."""
    if levels == 1:
        return FRENCH
    return {"all" if levels % 2 else "any": [tree(levels - 1, width) for _ in range(width)]}


def nodes(raw: dict[str, Any]) -> int:
    ((_, said),) = raw.items()
    return 1 + (sum(map(nodes, said)) if isinstance(said, list) else 0)


def test_trees_grow_to_their_bounds() -> None:
    assert parse_filter(tree(DEPTH_MAX, 1))
    assert refused(tree(DEPTH_MAX + 1, 1))[0][1] == "too_large"
    wide = {"all": [tree(5, 2), tree(4, 2), FRENCH, FRENCH]}
    assert nodes(wide) == NODES_MAX - 1
    assert parse_filter({"all": [*wide["all"], FRENCH]})
    assert [code for _, code in refused({"all": [*wide["all"], FRENCH, FRENCH]})] == ["too_large"]
    # Depth and size are told once, beside every other finding.
    both = {"all": [tree(DEPTH_MAX, 1), tree(DEPTH_MAX, 1), {"balance": {}}]}
    assert sorted(code for _, code in refused(both)) == ["invalid", "too_large"]


@pytest.mark.parametrize("word", ["all", "any"])
def test_a_group_of_one_is_its_part(word: str) -> None:
    assert parse_filter({word: [FRENCH]}) == Group(word, (OneOf("locale", ("fr",)),))
    assert parse_filter({"not": {"not": FRENCH}}) == Not(Not(OneOf("locale", ("fr",))))
    for empty in ([], {}, None, 0):
        assert refused({word: empty}) == [(f"/filter/{word}", "invalid")]


def test_findings_are_collected_from_every_branch() -> None:
    raw = {"all": [{"any": [{"balance": {}}, FRENCH]}, {"not": {"rfm": {}}}, {"locale": {"in": [1]}}, {"x": 1}, None]}
    assert [pointer for pointer, _ in refused(raw)] == [
        "/filter/all/0/any/0/balance/tokens", "/filter/all/1/not/rfm", "/filter/all/2/locale/in/0",
        "/filter/all/3/x", "/filter/all/4",
    ]  # fmt: skip


def test_questions_are_told_in_their_order() -> None:
    raw = {"any": [{"label": {"in": ["a"]}}, {"not": {"all": [{"tier": {"in": ["b"]}}, FRENCH]}}]}
    assert [leaf.what for leaf in questions(parse_filter(raw)) if isinstance(leaf, OneOf)] == [
        "label",
        "tier",
        "locale",
    ]


@given(low=st.integers(-9, 9), high=st.integers(-9, 9), figure=st.integers(-12, 12))
def test_both_ends_belong_to_a_range(low: int, high: int, figure: int) -> None:
    assert (figure in Range(low, high)) == (low <= figure <= high)
    assert (figure in Range(low)) == (figure >= low)
    assert (figure in Range(max=high)) == (figure <= high)
    assert figure in Range()


WORDS = st.sampled_from(
    ["all", "any", "not", "purchases", "enrolled", "balance", "rfm", "birthday", "consent", "tier", "in", "min", "kind"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def told_of(raw: object) -> tuple[list[str], int]:
    """Where a filter is wrong, and how many questions it asks where it is not."""
    try:
        node = parse_filter(raw)
    except InvalidInputError as refusal:
        return [error.pointer for error in refusal.errors], 0
    return [], len(list(questions(node)))


@given(JSON)
@example({"all": "all"})
@example({"purchases": {"count": []}})
@example({"": {}})
def test_whatever_comes_is_read_or_pointed_at(raw: object) -> None:
    """Nothing else than a refusal ever comes out of the reader, and each has a place in the filter."""
    wrong, asked = told_of(raw)
    assert bool(wrong) != bool(asked)
    assert all(pointer.startswith("/filter") for pointer in wrong)


def test_the_description_names_everything_that_may_be_asked() -> None:
    """What is not written there nobody finds: the filter is free JSON to the schema."""
    told = SegmentPreviewCreate.model_json_schema()["properties"]["filter"]["description"]
    asked = {path.split("/")[1] for path, _, _ in EDGES} | {"tier", "locale", "label", "static_list"}
    for word in (*asked, *PURCHASE_NAMES, "within_days", "days_ago", "tokens", "kind", *LIFECYCLES):
        assert word in told, word
    assert f"{DEPTH_MAX} levels and {NODES_MAX} parts" in told
