"""Lists as parameters: PostgreSQL reads back what was given, whichever way it was written."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.arrays import is_flat

SOUND = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
TRICKY = st.sampled_from(['"', "\\", "{}", ",", "NULL", "null", "", " ", "\n", "\x7f", "é", "\U0001f600", "\\x41"])
YEARS = (datetime(1, 1, 3), datetime(9999, 12, 29))  # noqa: DTZ001 - hypothesis gives them a zone
LISTS = {
    "text[]": st.text(SOUND, max_size=8) | TRICKY,
    "bigint[]": st.integers(-(2**63), 2**63 - 1),
    "boolean[]": st.booleans(),
    "timestamptz[]": st.datetimes(*YEARS, timezones=st.sampled_from([UTC, timezone(timedelta(hours=5.5))])),
    "bytea[]": st.binary(max_size=8),
    "numeric[]": st.integers(-(2**80), 2**80),
}


async def echo(engine: AsyncEngine, values: list[Any], kind: str) -> list[Any]:
    async with engine.connect() as connection:
        return list(await connection.scalar(text(f"select cast(:values as {kind})"), {"values": values}))


@pytest.mark.parametrize("kind", LISTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_list_comes_back(engine: AsyncEngine, kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | LISTS[kind], max_size=6))
    assert await echo(engine, values, kind) == values


async def test_lists_in_lists_come_back(engine: AsyncEngine) -> None:
    values = [["a", 'b"'], ["c", "\\d"]]
    assert await echo(engine, values, "text[]") == values


@pytest.mark.parametrize("bad", ["\0", "\ud800"])
async def test_what_no_text_can_hold_is_refused(engine: AsyncEngine, bad: str) -> None:
    with pytest.raises((DataError, UnicodeEncodeError)):
        await echo(engine, ["a", bad], "text[]")


@pytest.mark.parametrize(("values", "flat"), [(["a", None], True), ([1, 2], True), ([1, "a"], False), ([["a"]], False)])
def test_what_is_flat(values: list[object], *, flat: bool) -> None:
    assert is_flat(values) is flat
