"""Filters as they are read, and members as they are written down."""

from typing import Any

import pytest

from mereau.core.errors import InvalidInputError
from mereau.segments.export import domain as export
from mereau.segments.filters.domain import (
    DEPTH_MAX,
    NODES_MAX,
    Balance,
    DaysAgo,
    Group,
    Not,
    OneOf,
    Purchases,
    Range,
    Scores,
    parse_filter,
    questions,
)

FRENCH = {"locale": {"in": ["fr"]}}


def refused(raw: object) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        parse_filter(raw)
    return [found.pointer for found in caught.value.errors]


def test_a_tree_is_read_as_it_is_written() -> None:
    raw = {
        "all": [
            {"purchases": {"within_days": 90, "count": {"min": 3}, "skus": ["a"]}},
            {"any": [{"last_purchase": {"days_ago": {"max": 9}}}, {"balance": {"tokens": {"min": 1, "max": 2}}}]},
            {"not": {"rfm": {"recency": {"max": 2}}}},
        ]
    }
    node = parse_filter(raw)
    assert node == Group(
        "all",
        (
            Purchases(90, Range(3), names={"skus": ("a",)}),
            Group("any", (DaysAgo("last_purchase", Range(None, 9)), Balance(Range(1, 2)))),
            Not(Scores(Range(None, 2), Range(1, 5), Range(1, 5))),
        ),
    )
    assert [type(leaf) for leaf in questions(node)] == [Purchases, DaysAgo, Balance, Scores]
    assert parse_filter(FRENCH) == OneOf("locale", ("fr",))


@pytest.mark.parametrize(
    ("raw", "pointers"),
    [
        (None, ["/filter"]),
        ([], ["/filter"]),
        ({}, ["/filter"]),
        ({"all": [], "any": []}, ["/filter"]),
        ({"all": []}, ["/filter/all"]),
        ({"all": "fr"}, ["/filter/all"]),
        ({"all": [FRENCH, 1]}, ["/filter/all/1"]),
        ({"not": [FRENCH]}, ["/filter/not"]),
        ({"a/b~": {}}, ["/filter/a~1b~0"]),
        ({"locale": "fr"}, ["/filter/locale"]),
        ({"locale": {"in": []}}, ["/filter/locale/in"]),
        ({"locale": {"in": ["fr", 1, "", "x" * 129, "\0"]}}, [f"/filter/locale/in/{i}" for i in (1, 2, 3, 4)]),
        ({"label": {"in": ["a b", " a", "a\n", "\x7f"]}}, [f"/filter/label/in/{i}" for i in (1, 2, 3)]),
        ({"locale": {"in": ["x"] * 101}}, ["/filter/locale/in"]),
        ({"locale": {"in": ["fr"], "out": []}}, ["/filter/locale/out"]),
        ({"lifecycle": {"in": ["old"]}}, ["/filter/lifecycle/in/0"]),
        ({"purchases": {"colour": 1}}, ["/filter/purchases/colour"]),
        ({"purchases": {"within_days": 0}}, ["/filter/purchases/within_days"]),
        ({"purchases": {"within_days": True}}, ["/filter/purchases/within_days"]),
        ({"purchases": {"count": {}}}, ["/filter/purchases/count"]),
        ({"purchases": {"count": 3}}, ["/filter/purchases/count"]),
        ({"purchases": {"count": {"min": -1}}}, ["/filter/purchases/count/min"]),
        ({"purchases": {"count": {"min": 1.5}}}, ["/filter/purchases/count/min"]),
        ({"purchases": {"count": {"min": 4, "max": 3}}}, ["/filter/purchases/count"]),
        ({"purchases": {"amount_minor": {"least": 3}}}, ["/filter/purchases/amount_minor/least"]),
        ({"purchases": {"skus": "tea"}}, ["/filter/purchases/skus"]),
        ({"last_purchase": {}}, ["/filter/last_purchase/days_ago"]),
        ({"enrolled": {"days_ago": {"min": 36_501}}}, ["/filter/enrolled/days_ago/min"]),
        ({"balance": {}}, ["/filter/balance/tokens"]),
        ({"rfm": {}}, ["/filter/rfm"]),
        ({"rfm": {"recency": {"min": 0}}}, ["/filter/rfm/recency/min"]),
        ({"rfm": {"value": {"min": 1}}}, ["/filter/rfm/value"]),
        ({"birthday": {}}, ["/filter/birthday/within_days"]),
        ({"birthday": {"within_days": 365}}, ["/filter/birthday/within_days"]),
        ({"consent": {"kind": "cookies"}}, ["/filter/consent/kind"]),
        ({"consent": {"kind": ["terms"]}}, ["/filter/consent/kind"]),
        ({"any": [{"balance": {}}, {"rfm": {}}]}, ["/filter/any/0/balance/tokens", "/filter/any/1/rfm"]),
    ],
)
def test_what_is_wrong_is_pointed_at(raw: object, pointers: list[str]) -> None:
    assert refused(raw) == pointers


def nested(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = FRENCH
    for _ in range(levels - 1):
        tree = {"not": tree}
    return tree


def test_depth_and_size_end_somewhere() -> None:
    assert parse_filter(nested(DEPTH_MAX))
    assert refused(nested(DEPTH_MAX + 1)) == ["/filter" + "/not" * DEPTH_MAX]
    assert parse_filter({"any": [FRENCH] * (NODES_MAX - 1)})
    assert refused({"any": [FRENCH] * 10_000}) == [f"/filter/any/{NODES_MAX - 1}"]
    assert len(refused({"any": [{"any": [nested(9)] * 9}] * 9})) == 1


def test_a_file_opens_in_a_spreadsheet_and_runs_nothing() -> None:
    assert export.header(export.PLAIN) == b"\xef\xbb\xbfid;external_id\r\n"
    rows = [("mem_1", "=1+1", None), ("mem_2", 'a;"b"', "@x"), ("mem_3", "é", "ordinary")]
    assert export.body(rows).decode() == 'mem_1;\'=1+1;\r\nmem_2;"a;""b""";\'@x\r\nmem_3;é;ordinary\r\n'
    assert export.body([]) == b""
