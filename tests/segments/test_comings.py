"""Who comes and who goes at each refresh, what is told of it, and what a preview promised before."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from factories.earning import a_line
from factories.segments import NOBODY, Sorting
from mereau.core.db import snapshot, transaction
from mereau.core.errors import InvalidInputError, NotFoundError
from mereau.segments import service
from mereau.segments.models import Segment
from mereau.segments.queries import memberships
from mereau.segments.service import Named

DAY = timedelta(days=1)
FRENCH = {"locale": {"in": ["fr"]}}
Turn = Callable[[Sorting], Awaitable[object]]


async def told(sorting: Sorting, segment: Segment) -> list[tuple[str, int]]:
    """(word, member's number) of what was told of a segment after its first fill."""
    rows = await sorting.rows(
        "select type, payload from outbox_events where type in ('segment.entered', 'segment.left')"
        " and subject_id = :id order by seq",
        id=segment.id,
    )
    assert {row.payload["segment_id"] for row in rows} <= {segment.id}
    return [(row.type.partition(".")[2], sorting.members.index(row.payload["member_id"])) for row in rows]


def setting(statement: str) -> Turn:
    async def turn(sorting: Sorting) -> None:
        await sorting.write(f"update members set {statement} where id = :id", id=sorting.members[1])

    return turn


async def buys(sorting: Sorting) -> None:
    await sorting.sell(a_line(3_000), member=1)
    await sorting.settle()


async def brings_back(sorting: Sorting) -> None:
    sale = await sorting.sell(a_line(3_000), member=1)
    await sorting.refresh(await listed(sorting))
    await sorting.bring_back(sale)
    await sorting.settle()


async def waits(sorting: Sorting) -> None:
    sorting.now += 100 * DAY


async def is_listed(sorting: Sorting) -> None:
    async with snapshot(sorting.engine) as session:
        vip = await service.get_by_external_id(session, "vip")
    await sorting.list_members(vip, Named([sorting.members[1]], (), "/add"))


async def listed(sorting: Sorting) -> Segment:
    async with snapshot(sorting.engine) as session:
        return await service.get_by_external_id(session, "s")


TURNS: list[tuple[dict[str, Any], Turn, list[tuple[str, int]]]] = [
    ({"purchases": {}}, buys, [("entered", 1)]),
    ({"not": {"purchases": {}}}, buys, [("left", 1)]),
    ({"purchases": {"within_days": 9}}, brings_back, [("entered", 1), ("left", 1)]),
    ({"balance": {"tokens": {"min": 30}}}, buys, [("entered", 1)]),
    ({"tier": {"in": ["bronze"]}}, buys, [("entered", 1)]),
    ({"lifecycle": {"in": ["lapsed"]}}, waits, [("entered", member) for member in range(4)]),
    ({"enrolled": {"days_ago": {"max": 99}}}, waits, [("left", member) for member in range(4)]),
    (FRENCH, setting("locale = 'en'"), [("left", 1)]),
    (FRENCH, setting("status = 'blocked'"), [("left", 1)]),
    ({"label": {"in": ["vip"]}}, setting("labels = '{vip}'"), [("entered", 1)]),
    ({"static_list": {"in": ["vip"]}}, is_listed, [("entered", 1)]),
    ({"label": {"in": ["vip"]}}, setting("labels = '{press}'"), []),
]


@pytest.mark.parametrize(("filter_", "turn", "expected"), TURNS)
async def test_who_comes_and_goes_is_told(
    sorting: Sorting, filter_: dict[str, Any], turn: Turn, expected: list[tuple[str, int]]
) -> None:
    await sorting.enforce(30)
    await sorting.settle()
    await sorting.save(None, "vip")
    segment, other = await sorting.save(filter_, "s"), await sorting.save(FRENCH, "other")
    for one in (segment, other):
        await sorting.refresh(one)
    before = await sorting.members_in(segment)
    assert await told(sorting, segment) == []
    await turn(sorting)
    await sorting.refresh(segment)
    assert sorted(await told(sorting, segment)) == sorted(expected)
    assert await told(sorting, other) == []
    comings = {member for word, member in expected if word == "entered"}
    goings = {member for word, member in expected if word == "left"}
    assert set(await sorting.members_in(segment)) == (set(before) | comings) - goings


async def counted(sorting: Sorting, raw: object) -> int:
    async with snapshot(sorting.engine) as session:
        return await service.preview(session, raw, sorting.now)


async def test_a_preview_counts_whom_a_refresh_finds(sorting: Sorting) -> None:
    await sorting.sell(a_line(1_000), member=1)
    await sorting.sell(a_line(2_000), member=2)
    await sorting.write("update members set locale = 'en' where id = :id", id=sorting.members[3])
    async with transaction(sorting.engine) as session:
        await service.refresh_facts(session, sorting.now)
    filters: list[dict[str, Any]] = [
        {"purchases": {}},
        {"not": {"purchases": {}}},
        {"any": [{"purchases": {"amount_minor": {"min": 2_000}}}, {"locale": {"in": ["en"]}}]},
        {"all": [{"purchases": {}}, {"locale": {"in": ["en"]}}]},
        FRENCH,
    ]
    tables = ("segments", "segment_members", "outbox_events", "journal_entries")
    before = [await sorting.rows(f"select * from {table}") for table in tables]
    promised = [await counted(sorting, raw) for raw in filters]
    assert [await sorting.rows(f"select * from {table}") for table in tables] == before
    kept = []
    for number, raw in enumerate(filters):
        segment = await sorting.save(raw, f"s{number}")
        await sorting.refresh(segment)
        kept.append((await sorting.seen(segment)).member_count)
    assert promised == kept == [2, 2, 2, 0, 3]


async def test_a_preview_asks_of_facts_as_they_were(sorting: Sorting) -> None:
    """Figures are as of their last refresh, and everything else is of this moment."""
    await sorting.sell(a_line(1_000), member=1)
    question = {"purchases": {"count": {"min": 1}}}
    assert await counted(sorting, question) == 0
    assert await counted(sorting, {"purchases": {"within_days": 1}}) == 1
    async with transaction(sorting.engine) as session:
        await service.refresh_facts(session, sorting.now)
    assert await counted(sorting, question) == 1
    async with snapshot(sorting.engine) as session:
        assert await service.facts_as_of(session) == sorting.now


@pytest.mark.parametrize(
    "raw",
    [{"tier": {"in": ["bronze"]}}, {"not": {"static_list": {"in": ["vip"]}}}, {"balance": {}}, None, {"all": []}],
)
async def test_what_cannot_be_saved_cannot_be_tried(sorting: Sorting, raw: Any) -> None:
    with pytest.raises(InvalidInputError) as tried:
        await counted(sorting, raw)
    if raw is not None:
        with pytest.raises(InvalidInputError) as saved:
            await sorting.save(raw)
        assert [error.pointer for error in saved.value.errors] == [error.pointer for error in tried.value.errors]
    assert await sorting.count("segments") == 0


async def test_a_dynamic_segment_is_no_list_to_ask_for(sorting: Sorting) -> None:
    await sorting.save(FRENCH, "fr")
    await sorting.save(None, "vip")
    with pytest.raises(InvalidInputError):
        await sorting.save({"static_list": {"in": ["vip", "fr"]}}, "a")
    assert (await sorting.save({"static_list": {"in": ["vip"]}}, "b")).kind == "dynamic"


async def test_lists_are_told_one_by_one_and_name_nobody_twice(sorting: Sorting) -> None:
    segment = await sorting.save(None)
    twice = Named([sorting.members[0], sorting.members[0]], ["M0", "M1"], "/add")
    done = await sorting.list_members(segment, twice)
    assert (done.member_count, done.entered_count, done.left_count) == (2, 2, 0)
    again = await sorting.list_members(segment, twice, Named((), ["M3"], "/remove"))
    assert (again.member_count, again.entered_count, again.left_count) == (2, 0, 0)
    gone = await sorting.list_members(segment, NOBODY, Named([sorting.members[0]], ["M1", "M0"], "/remove"))
    assert (gone.member_count, gone.entered_count, gone.left_count) == (0, 0, 2)
    # Those of one call are told in the order of their ids, which is that of chance.
    assert sorted(await told(sorting, segment)) == [("entered", 0), ("entered", 1), ("left", 0), ("left", 1)]


@pytest.mark.parametrize("status", ["blocked", "deleted"])
async def test_only_active_members_are_listed(sorting: Sorting, status: str) -> None:
    segment = await sorting.save(None)
    await sorting.write("update members set status = :status where id = :id", status=status, id=sorting.members[2])
    with pytest.raises(InvalidInputError) as refusal:
        await sorting.list_members(segment, Named([sorting.members[1], sorting.members[2]], ["M2"], "/add"))
    assert [error.pointer for error in refusal.value.errors] == ["/add/ids/1", "/add/external_ids/0"]
    assert await sorting.members_in(segment) == []


async def test_belonging_is_as_of_the_last_refresh_and_of_no_other_segment(sorting: Sorting) -> None:
    french, english = await sorting.save(FRENCH, "fr"), await sorting.save({"locale": {"in": ["en"]}}, "en")
    for segment in (french, english):
        await sorting.refresh(segment)
    await sorting.write("update members set locale = 'en' where id = :id", id=sorting.members[0])
    await sorting.refresh(english)

    async def belongs() -> dict[str, frozenset[str]]:
        async with snapshot(sorting.engine) as session:
            return await memberships(session, sorting.members[:2], [french.id, english.id])

    assert await belongs() == {
        sorting.members[0]: {french.id, english.id},
        sorting.members[1]: {french.id},
    }
    await sorting.refresh(french)
    assert (await belongs())[sorting.members[0]] == {english.id}
    async with transaction(sorting.engine) as session:
        await service.drop(session, english.id, sorting.now, actor="key:k")
        with pytest.raises(NotFoundError):
            await service.drop(session, english.id, sorting.now, actor="key:k")
    assert (await belongs())[sorting.members[0]] == frozenset()
    # A refresh that was on its way for it finds nothing to do.
    assert await sorting.refresh(english) == 0
