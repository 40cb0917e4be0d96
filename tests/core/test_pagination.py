"""Cursors come back as they went out, and a list read by pages is the list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.errors import InvalidInputError
from mereau.core.pagination import Page, PageQuery, cut_page, decode_cursor, encode_cursor

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60)


@given(printable)
def test_a_cursor_comes_back(after: str) -> None:
    cursor = encode_cursor(after)
    assert decode_cursor(cursor) == after
    assert all(char.isalnum() or char in "-_" for char in cursor)


@given(st.text(max_size=250))
def test_any_text_is_a_cursor_of_ours_or_refused(text: str) -> None:
    try:
        after = decode_cursor(text)
    except InvalidInputError:
        return
    assert encode_cursor(after) == text


@pytest.mark.parametrize("cursor", ["", "=", "a", "é", "AA==", "AA", "_w", "x" * 201, encode_cursor("a\nb"), "YQ="])
def test_wrong_cursors_are_refused(cursor: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        decode_cursor(cursor)
    assert [error.pointer for error in refused.value.errors] == ["cursor"]


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=40), st.integers(1, 10))
def test_pages_in_turn_are_the_list(rows: list[int], limit: int) -> None:
    rows = sorted(rows)
    seen: list[int] = []
    query = PageQuery(limit)
    while True:
        after = query.after_number()
        left = [row for row in rows if after is None or row > after]
        page = cut_page(left[: limit + 1], limit, lambda row: row)
        assert len(page.rows) <= limit
        seen += page.rows
        if page.next_after is None:
            break
        query = PageQuery(limit, decode_cursor(encode_cursor(page.next_after)))
    assert seen == rows


@pytest.mark.parametrize("after", ["x", "-1", "1.0", "", "\N{ARABIC-INDIC DIGIT ONE}", str(2**63), "1" * 30])
def test_a_cursor_of_another_list_is_refused(after: str) -> None:
    with pytest.raises(InvalidInputError):
        PageQuery(20, after).after_number()


def test_rows_are_shown_one_by_one() -> None:
    assert Page([1, 2], "2").map(str) == Page(["1", "2"], "2")
    assert PageQuery().after_number() is None
