"""Sales that come together share a transaction, and nothing else: each is answered as if it had come alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text

from api.world import ApiWorld
from mereau.auth.idempotency import GROUP_MAX
from mereau.core.db import transaction
from mereau.earning.endpoints import _record

# Fails every transaction that records the sale named "poison", as another transaction's timing would.
POISON = """
    create function refuse_poison() returns trigger language plpgsql as $$
    begin
        if new.external_id = 'poison' then raise exception using errcode = '40001'; end if;
        return new;
    end $$;
    create trigger refuse_poison before insert on sales for each row execute function refuse_poison();
"""
HEAL = "drop trigger refuse_poison on sales; drop function refuse_poison();"


def waiting(world: ApiWorld) -> int:
    return len(world.app.state.groups.of(_record)._waiting)


async def until(condition: Callable[[], bool], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def queue_held(world: ApiWorld) -> AsyncIterator[None]:
    """Inside, a first sale waits for its member's account, so that all that comes after it gathers."""
    async with transaction(world.engine) as session:
        lock = text("select 1 from accounts where member_id = :id for update")
        await session.execute(lock, {"id": world.ids["member_a"]})
        held = asyncio.create_task(world.post("partner_a", "/sales", world.a_sale()))
        await until(lambda: world.app.state.groups.of(_record)._worker is not None and waiting(world) == 0)
        yield
    assert (await held).status_code == 201


async def together(world: ApiWorld, requests: Sequence[tuple[str, dict[str, Any], str | None]]) -> list[httpx.Response]:
    """The answers to sales (who, body, key) that were all written in one go."""
    async with queue_held(world):
        tasks = [asyncio.create_task(world.post(who, "/sales", body, key=key)) for who, body, key in requests]
        await until(lambda: waiting(world) == len(requests))
    return await asyncio.gather(*tasks)


@pytest.fixture
async def commits(world: ApiWorld) -> AsyncIterator[list[int]]:
    seen: list[int] = []

    def note(_: object) -> None:
        seen.append(1)

    event.listen(world.engine.sync_engine, "commit", note)
    yield seen
    event.remove(world.engine.sync_engine, "commit", note)


async def sales(world: ApiWorld) -> int:
    async with world.engine.connect() as connection:
        return int((await connection.scalar(text("select count(*) from sales"))) or 0)


async def test_a_group_is_one_transaction(world: ApiWorld, commits: list[int]) -> None:
    before = await sales(world)
    answers = await together(world, [("partner_a", world.a_sale(), None) for _ in range(10)])
    assert [answer.status_code for answer in answers] == [201] * 10
    assert len({answer.json()["entry"]["id"] for answer in answers}) == 10
    assert await sales(world) == before + 11
    # The group, the sale before it, and the lock's own transaction, which wrote nothing.
    assert len(commits) <= 3


async def test_each_gets_the_answer_that_it_would_have_got_alone(world: ApiWorld) -> None:
    known = world.a_sale()
    recorded = await world.made("partner_a", "/sales", known)
    answers = await together(
        world,
        [
            ("partner_a", world.a_sale(), None),
            ("partner_a", world.a_sale(member={"external_id": "nobody"}), None),
            ("partner_a", known, None),
            ("partner_a", known | {"shipping_minor": 7}, None),
            ("partner_a", world.a_sale(currency="JPY"), None),
            ("operator", world.a_sale(), None),
            ("operator", world.a_sale(partner_id=world.ids["partner_b"]), None),
            ("partner_b", world.a_sale(partner_id=world.ids["partner_a"]), None),
            ("partner_b", world.a_sale(), None),
        ],
    )
    codes = [(answer.status_code, answer.json().get("code")) for answer in answers]
    assert codes == [
        (201, None),
        (422, "invalid_input"),
        (200, None),
        (409, "recorded_otherwise"),
        (422, "invalid_sale"),
        (422, "invalid_input"),
        (201, None),
        (422, "invalid_input"),
        (201, None),
    ]
    assert answers[2].json()["id"] == recorded["id"]
    assert [answers[place].json()["partner_id"] for place in (0, 6, 8)] == [
        world.ids["partner_a"],
        world.ids["partner_b"],
        world.ids["partner_b"],
    ]


async def test_one_reference_twice_in_a_group_counts_once(world: ApiWorld) -> None:
    sale = world.a_sale()
    before = await sales(world)
    answers = await together(world, [("partner_a", sale, None), ("partner_a", sale, None), ("partner_b", sale, None)])
    assert [answer.status_code for answer in answers] == [201, 200, 201]
    assert answers[0].json()["id"] == answers[1].json()["id"] != answers[2].json()["id"]
    assert await sales(world) == before + 3


async def test_one_key_twice_in_a_group_is_in_flight_for_the_second(world: ApiWorld) -> None:
    one, other = world.a_sale(), world.a_sale()
    answers = await together(world, [("partner_a", one, "k-1"), ("partner_a", other, "k-1"), ("partner_b", one, "k-1")])
    assert [answer.status_code for answer in answers] == [201, 409, 201]
    assert answers[1].json()["code"] == "idempotency_in_flight"
    again = await world.post("partner_a", "/sales", one, key="k-1")
    assert again.headers["idempotent-replayed"] == "true"
    reused = await world.post("partner_a", "/sales", other, key="k-1")
    assert reused.json()["code"] == "idempotency_key_reused"


async def test_stored_answers_are_replayed_within_a_group(world: ApiWorld) -> None:
    known = world.a_sale()
    first = await world.post("partner_a", "/sales", known, key="k-1")
    answers = await together(
        world, [("partner_a", known, "k-1"), ("partner_a", world.a_sale(), "k-1"), ("partner_a", world.a_sale(), "k-2")]
    )
    assert [answer.status_code for answer in answers] == [201, 422, 201]
    assert (answers[0].content, answers[0].headers["idempotent-replayed"]) == (first.content, "true")
    assert "idempotent-replayed" not in answers[2].headers


async def test_a_fault_of_one_is_not_the_others(world: ApiWorld) -> None:
    async with world.engine.begin() as connection:
        await connection.execute(text(POISON))
    try:
        before = await sales(world)
        poison = world.a_sale(external_id="poison")
        answers = await together(
            world,
            [("partner_a", world.a_sale(), None), ("partner_a", poison, "k-1"), ("partner_b", world.a_sale(), None)],
        )
        assert [answer.status_code for answer in answers] == [201, 503, 201]
        assert await sales(world) == before + 3
    finally:
        async with world.engine.begin() as connection:
            await connection.execute(text(HEAL))
    assert (await world.post("partner_a", "/sales", poison, key="k-1")).status_code == 201


async def test_balances_in_a_group_add_up(world: ApiWorld) -> None:
    member = {"id": world.ids["member_b"]}
    path = f"/members/{world.ids['member_b']}/balance"
    before = (await world.send("operator", "GET", path)).json()["available"]
    answers = await together(world, [("partner_a", world.a_sale(member=member), None) for _ in range(4)])
    after = (await world.send("operator", "GET", path)).json()["available"]
    assert after == before + sum(answer.json()["tokens"] for answer in answers)
    assert {answer.json()["balance"]["available"] for answer in answers} == {after}


def test_a_group_is_no_larger_than_a_batch() -> None:
    assert GROUP_MAX <= 500
