"""Daily runs over HTTP, and their figure for Prometheus."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from mereau.core.db import transaction
from mereau.programs.days import service as days

START = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
NAMES = ("zeal", "activate")


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def work(world: ApiWorld, now: datetime, *done: str) -> None:
    """Begin the day of `now`, and finish steps on it."""
    for name in (*done, None):
        async with transaction(world.engine) as session:
            turn = await days.next_turn(session, NAMES, now)
            if name is not None:
                assert turn is not None
                assert turn.step == name
                await days.note_done(session, NAMES, turn, 7, is_finished=True, now=now)
                now += timedelta(seconds=1)


async def finished_figure(world: ApiWorld) -> list[float]:
    text = (await world.get(None, "/../../metrics")).text
    return [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "mereau_daily_run_finished_seconds"
    ]


async def test_runs_are_listed_with_their_steps_in_the_order_of_the_work(world: ApiWorld) -> None:
    await work(world, START, "zeal", "activate")
    (run,) = (await world.get("auditor", "/daily-runs")).json()["data"]
    assert run == {
        "day": "2026-01-05",
        "steps": [
            {"name": "zeal", "changed": 7, "finished_at": "2026-01-05T09:30:00Z"},
            {"name": "activate", "changed": 7, "finished_at": "2026-01-05T09:30:01Z"},
        ],
        "failures": 0, "failed_step": None, "failed_reason": None,
        "started_at": "2026-01-05T09:30:00Z", "finished_at": "2026-01-05T09:30:01Z",
    }  # fmt: skip


async def test_the_newest_day_comes_first_and_pages_lead_on(world: ApiWorld) -> None:
    for day in range(5):
        await work(world, START + timedelta(days=day), "zeal")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await world.get("operator", "/daily-runs", limit=2, **cursor)).json()
        seen += [run["day"] for run in page["data"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ["2026-01-09", "2026-01-08", "2026-01-07", "2026-01-06", "2026-01-05"]


@pytest.mark.parametrize("cursor", ["bm90IGEgZGF5", "!"])
async def test_another_lists_cursor_is_refused(world: ApiWorld, cursor: str) -> None:
    response = await world.get("operator", "/daily-runs", cursor=cursor)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")


async def test_a_step_under_way_stands_last_without_an_end(world: ApiWorld) -> None:
    await work(world, START, "zeal")
    async with transaction(world.engine) as session:
        turn = await days.next_turn(session, NAMES, START)
        assert turn is not None
        await days.note_done(session, NAMES, turn, 5, is_finished=False, now=START)
    (run,) = (await world.get("operator", "/daily-runs")).json()["data"]
    assert [(step["name"], step["finished_at"] is None) for step in run["steps"]] == [
        ("zeal", False),
        ("activate", True),
    ]
    assert run["finished_at"] is None


async def test_the_figure_is_that_of_the_last_complete_run(world: ApiWorld) -> None:
    assert await finished_figure(world) == []
    await work(world, START, "zeal", "activate")
    await work(world, START + timedelta(days=1), "zeal")
    assert await finished_figure(world) == [(START + timedelta(seconds=1)).timestamp()]
