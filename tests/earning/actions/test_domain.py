"""Schemas of custom events, and what makes two actions alike."""

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.earning.actions.domain import (
    AGE_MAX,
    ActionDraft,
    FieldSpec,
    attribute_findings,
    inputs_digest,
    read_field,
    time_finding,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIELDS = [
    FieldSpec("size", "text", required=True, options=("S", "M")),
    FieldSpec("note", "text", minimum=2, maximum=4),
    FieldSpec("hours", "integer", minimum=1, maximum=8),
    FieldSpec("paid", "boolean"),
]
DRAFT = ActionDraft("mem_1", "par_1", "par_1", "workshop", "w-1", NOW, {"size": "S", "hours": 2})

BOUND = st.none() | st.integers(-5, 5)
SPECS = st.builds(
    FieldSpec,
    name=st.sampled_from(["a", "b", "c"]),
    type=st.sampled_from(["text", "integer", "boolean"]),
    required=st.booleans(),
    options=st.sampled_from([(), ("x", "y")]),
    minimum=BOUND,
    maximum=BOUND,
)
VALUES = st.one_of(st.booleans(), st.integers(-6, 6), st.text("xyz", max_size=6))


def wrong(attributes: dict[str, str | int | bool]) -> list[str]:
    return [finding.pointer for finding in attribute_findings(FIELDS, attributes)]


@pytest.mark.parametrize(
    "attributes", [{"size": "S"}, {"size": "M", "note": "ab", "hours": 8, "paid": False}, {"size": "M", "hours": 1}]
)
def test_what_the_schema_allows_passes(attributes: dict[str, str | int | bool]) -> None:
    assert wrong(attributes) == []


@pytest.mark.parametrize(
    ("attributes", "pointers"),
    [
        ({}, ["/attributes/size"]),
        ({"size": "L"}, ["/attributes/size"]),
        ({"size": 1}, ["/attributes/size"]),
        ({"size": "S", "note": "a"}, ["/attributes/note"]),
        ({"size": "S", "note": "abcde"}, ["/attributes/note"]),
        ({"size": "S", "hours": 0}, ["/attributes/hours"]),
        ({"size": "S", "hours": 9}, ["/attributes/hours"]),
        ({"size": "S", "hours": True}, ["/attributes/hours"]),
        ({"size": "S", "hours": "2"}, ["/attributes/hours"]),
        ({"size": "S", "paid": 1}, ["/attributes/paid"]),
        ({"size": "S", "extra": 1}, ["/attributes/extra"]),
        ({"hours": 9, "zoo": 1}, ["/attributes/zoo", "/attributes/size", "/attributes/hours"]),
    ],
)
def test_everything_else_is_named(attributes: dict[str, str | int | bool], pointers: list[str]) -> None:
    assert wrong(attributes) == pointers


@given(SPECS)
def test_a_field_is_read_back_as_it_was_stored(field: FieldSpec) -> None:
    assert read_field(orjson.loads(orjson.dumps(field.to_dict()))) == field


@given(st.lists(SPECS, unique_by=lambda field: field.name), st.dictionaries(st.sampled_from("abcd"), VALUES))
def test_findings_are_complete_and_no_more(fields: list[FieldSpec], attributes: dict[str, str | int | bool]) -> None:
    """Taking away what is named, and adding what is required, leaves nothing to name but the added."""
    named = {finding.pointer.removeprefix("/attributes/") for finding in attribute_findings(fields, attributes)}
    assert named <= attributes.keys() | {field.name for field in fields if field.required}
    kept = {name: value for name, value in attributes.items() if name not in named}
    left = {finding.pointer.removeprefix("/attributes/") for finding in attribute_findings(fields, kept)}
    assert left == {field.name for field in fields if field.required and field.name not in kept}


@pytest.mark.parametrize(
    ("back", "code"),
    [
        (timedelta(), None),
        (-timedelta(minutes=10), None),
        (-timedelta(minutes=11), "future"),
        (AGE_MAX, None),
        (AGE_MAX + timedelta(seconds=1), "too_old"),
    ],
)
def test_an_action_is_told_in_its_time(back: timedelta, code: str | None) -> None:
    found = time_finding(NOW - back, NOW)
    assert (None if found is None else found.code) == code


def test_the_same_said_otherwise_is_the_same() -> None:
    same = ActionDraft(
        "mem_1", "par_1", "par_1", "workshop", "w-1",
        NOW.astimezone(timezone(timedelta(hours=5))), {"hours": 2, "size": "S"},
    )  # fmt: skip
    assert inputs_digest(same) == inputs_digest(DRAFT)


@pytest.mark.parametrize(
    "other",
    [
        ActionDraft("mem_2", "par_1", "par_1", "workshop", "w-1", NOW, {"size": "S", "hours": 2}),
        ActionDraft("mem_1", "par_1", None, "workshop", "w-1", NOW, {"size": "S", "hours": 2}),
        ActionDraft("mem_1", "par_1", "par_1", "workshops", "w-1", NOW, {"size": "S", "hours": 2}),
        ActionDraft(
            "mem_1", "par_1", "par_1", "workshop", "w-1", NOW + timedelta(seconds=1), {"size": "S", "hours": 2}
        ),
        ActionDraft("mem_1", "par_1", "par_1", "workshop", "w-1", NOW, {"size": "S", "hours": 3}),
    ],
)
def test_something_else_is_something_else(other: ActionDraft) -> None:
    assert inputs_digest(other) != inputs_digest(DRAFT)
