"""Refreshes, what they tell, static lists, and everything at once."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import a_line
from factories.segments import NOBODY, Sorting, make_sorting
from factories.statements import counted
from mereau.core.db import transaction
from mereau.core.errors import ConflictError, InvalidInputError, NotFoundError
from mereau.segments import service, tasks
from mereau.segments.errors import WrongKindError
from mereau.segments.service import Named

DAY = timedelta(days=1)
BUYERS = {"purchases": {"within_days": 30}}
FRENCH = {"locale": {"in": ["fr"]}}


async def told(sorting: Sorting) -> list[tuple[str, int | None]]:
    """(event, member's number) of everything that segments said."""
    rows = await sorting.rows("select type, payload from outbox_events where type like 'segment.%' order by seq")
    return [
        (row.type, None if "member_id" not in row.payload else sorting.members.index(row.payload["member_id"]))
        for row in rows
    ]


class TestRefresh:
    async def test_the_first_fill_is_one_event_and_then_each_is_told(self, sorting: Sorting) -> None:
        await sorting.sell(member=0)
        segment = await sorting.save(BUYERS)
        await sorting.refresh(segment)
        assert await told(sorting) == [("segment.filled", None)]
        sorting.now += 20 * DAY
        await sorting.sell(member=2)
        await sorting.refresh(segment)
        sorting.now += 15 * DAY
        await sorting.refresh(segment)
        assert (await told(sorting))[1:] == [("segment.entered", 2), ("segment.left", 0)]
        assert await sorting.members_in(segment) == [2]
        seen = await sorting.seen(segment)
        assert (seen.member_count, seen.entered_count, seen.left_count, seen.refreshed_at) == (1, 0, 1, sorting.now)

    async def test_refreshing_twice_changes_nothing(self, sorting: Sorting) -> None:
        await sorting.sell(member=1)
        segment = await sorting.save(BUYERS)
        assert await sorting.refresh(segment) == 1
        before = await sorting.rows("select * from segment_members"), await sorting.rows("select * from member_facts")
        versions = await sorting.rows("select xmin::text from member_facts order by member_id")
        assert await sorting.refresh(segment) == 0
        assert before == (
            await sorting.rows("select * from segment_members"), await sorting.rows("select * from member_facts"),
        )  # fmt: skip
        assert await sorting.rows("select xmin::text from member_facts order by member_id") == versions
        assert len(await told(sorting)) == 1

    async def test_another_filter_is_filled_anew(self, sorting: Sorting) -> None:
        await sorting.sell(member=1)
        segment = await sorting.save(BUYERS)
        await sorting.refresh(segment)
        changed = await sorting.change(segment, FRENCH)
        assert (changed.name_fr, changed.refreshed_at, changed.queued_at) == ("Autre", None, sorting.now)
        assert await sorting.members_in(segment) == [1]
        await sorting.refresh(segment)
        assert await sorting.members_in(segment) == [0, 1, 2, 3]
        assert await told(sorting) == [("segment.filled", None)] * 2
        same = await sorting.change(segment, FRENCH)
        assert (same.refreshed_at, same.queued_at) == (sorting.now, None)

    async def test_as_many_statements_for_many_as_for_few(
        self, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sorting = await make_sorting(engine, member_count=40)
        segment = await sorting.save(BUYERS)
        await sorting.refresh(segment)
        counts = []
        for size in (1, 39):
            members = range(size) if size == 1 else range(1, 40)
            await sorting.record(*(sorting.a_sale(member=member) for member in members))
            with counted(monkeypatch) as sent:
                assert await sorting.refresh(segment) == size
            counts.append(len(sent))
        assert counts[0] == counts[1] < 20

    async def test_who_left_the_programme_leaves_facts_and_segments(self, sorting: Sorting) -> None:
        segment = await sorting.save(FRENCH)
        await sorting.refresh(segment)
        await sorting.write("update members set status = 'deleted' where id = :id", id=sorting.members[3])
        await sorting.refresh(segment)
        assert await sorting.members_in(segment) == [0, 1, 2]
        assert await sorting.count("member_facts") == 3


class TestJob:
    async def test_what_is_new_asked_for_or_of_yesterday_is_refreshed(self, sorting: Sorting) -> None:
        await sorting.sell(member=0)
        segment, _ = await sorting.save(BUYERS), await sorting.save(None, "list")
        assert await sorting.refresh_due() == 2  # The facts, then the segment.
        assert await sorting.refresh_due() == 0
        await sorting.sell(member=1)
        sorting.now += timedelta(minutes=1)
        await sorting.queue(segment)
        await sorting.queue(segment)
        assert await sorting.refresh_due() == 2
        assert await sorting.members_in(segment) == [0, 1]
        sorting.now += DAY
        assert await sorting.refresh_due() == 2
        queued = await sorting.rows("select 1 from journal_entries where action = 'segment.refresh_queued'")
        assert len(queued) == 1

    async def test_the_longest_wait_ends_first(self, sorting: Sorting) -> None:
        first, second = await sorting.save(FRENCH, "a"), await sorting.save(FRENCH, "b")
        await sorting.refresh_due()
        sorting.now += timedelta(minutes=1)
        await sorting.queue(second)
        sorting.now += timedelta(minutes=1)
        await sorting.queue(first)
        order = []
        while await tasks.refresh_next(sorting.engine, sorting.now):
            order += [s.external_id for s in (first, second) if (await sorting.seen(s)).queued_at is None]
        assert order[0] == "b"

    async def test_one_that_was_killed_half_way_is_due_again(self, sorting: Sorting) -> None:
        segment = await sorting.save(FRENCH)
        async with transaction(sorting.engine) as session:
            await service.start(session, segment.id, sorting.now)
        assert (await sorting.seen(segment)).started_at is not None
        await sorting.refresh_due()
        seen = await sorting.seen(segment)
        assert (seen.queued_at, seen.started_at, seen.member_count) == (None, None, 4)


class TestLists:
    async def test_members_come_and_go_by_either_number(self, sorting: Sorting) -> None:
        segment = await sorting.save(None)
        done = await sorting.list_members(segment, Named([sorting.members[0]], ["M1", "M2"], "/add"))
        assert (done.member_count, done.entered_count) == (3, 3)
        done = await sorting.list_members(
            segment, Named((), ["M0", "M3"], "/add"), Named([sorting.members[1]], ["M3"], "/remove")
        )
        assert (done.member_count, done.entered_count, done.left_count) == (2, 0, 1)
        assert await sorting.members_in(segment) == [0, 2]
        entered = {("segment.entered", member) for member in (0, 1, 2)}
        assert set(await told(sorting)) == entered | {("segment.left", 1)}

    async def test_somebody_unknown_changes_nothing(self, sorting: Sorting) -> None:
        segment = await sorting.save(None)
        with pytest.raises(InvalidInputError) as caught:
            await sorting.list_members(segment, Named((), ["M0", "nobody"], "/add"), Named(["mem_x"], (), "/remove"))
        assert [found.pointer for found in caught.value.errors] == ["/add/external_ids/1", "/remove/ids/0"]
        assert await sorting.members_in(segment) == []

    async def test_naming_nobody_is_a_mistake(self, sorting: Sorting) -> None:
        with pytest.raises(InvalidInputError):
            await sorting.list_members(await sorting.save(None))

    async def test_kinds_stay_what_they_are(self, sorting: Sorting) -> None:
        named, filtered = await sorting.save(None, "a"), await sorting.save(FRENCH, "b")
        with pytest.raises(WrongKindError):
            await sorting.queue(named)
        with pytest.raises(WrongKindError):
            await sorting.list_members(filtered)
        with pytest.raises(WrongKindError):
            await sorting.change(named, FRENCH)
        with pytest.raises(ConflictError):
            await sorting.change(filtered, FRENCH, external_id="c")
        with pytest.raises(ConflictError):
            await sorting.save(FRENCH, "a")

    async def test_a_list_that_is_dropped_leaves_nobody(self, sorting: Sorting) -> None:
        segment = await sorting.save(None, "vip")
        await sorting.list_members(segment, Named((), ["M0"], "/add"))
        found = await sorting.save({"static_list": {"in": ["vip"]}}, "found")
        async with transaction(sorting.engine) as session:
            await service.drop(session, segment.id, sorting.now, actor="key:k")
        await sorting.refresh(found)
        assert await sorting.members_in(found) == []
        assert await sorting.count("segment_members") == 0
        with pytest.raises(NotFoundError):
            await sorting.seen(segment)

    async def test_what_a_filter_names_must_exist(self, sorting: Sorting) -> None:
        await sorting.enforce(10)
        await sorting.save({"any": [{"tier": {"in": ["bronze"]}}]}, "a")
        with pytest.raises(InvalidInputError) as caught:
            await sorting.save({"all": [{"tier": {"in": ["bronze", "gold"]}}, {"static_list": {"in": ["a"]}}]}, "b")
        assert len(caught.value.errors) == 2


class TestAtOnce:
    async def test_refreshes_wait_for_each_other_and_sales_for_none(self, sorting: Sorting) -> None:
        segment = await sorting.save(BUYERS)
        await asyncio.gather(
            *(sorting.refresh(segment) for _ in range(3)), *(sorting.sell(a_line(), member=i) for i in range(4))
        )
        await sorting.refresh(segment)
        assert await sorting.members_in(segment) == [0, 1, 2, 3]
        entered = [event for event in await told(sorting) if event[0] == "segment.entered"]
        assert len(entered) == len(set(entered))
        filled = await sorting.rows("select payload from outbox_events where type = 'segment.filled'")
        assert len(filled) == 1
        assert filled[0].payload["member_count"] + len(entered) == 4

    async def test_lists_changed_at_once_count_right(self, sorting: Sorting) -> None:
        segment = await sorting.save(None)
        both = Named((), ["M0", "M1"], "/add")
        await asyncio.gather(
            sorting.list_members(segment, both),
            sorting.list_members(segment, Named((), ["M1", "M2"], "/add")),
            sorting.list_members(segment, NOBODY, Named((), ["M3"], "/remove")),
        )
        assert await sorting.members_in(segment) == [0, 1, 2]
        assert (await sorting.seen(segment)).member_count == 3
