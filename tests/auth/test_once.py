"""Repeatable writes of several requests in one transaction: who is answered what, and what is kept."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.auth import once, service
from mereau.auth.domain import Principal, Role
from mereau.auth.errors import IdempotencyInFlightError, IdempotencyKeyReusedError
from mereau.auth.once import Asked, Outcome
from mereau.auth.repository import Answer
from mereau.auth.service import KeyDraft
from mereau.core.clock import ManualClock
from mereau.core.db import WriteSession, transaction
from mereau.core.errors import ConflictError, MereauError
from mereau.core.http import Site, make_site
from mereau.journal import service as journal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Note(BaseModel):
    """What is asked for, and what is answered."""

    text: str


class Desk:
    """Writes notes into the journal, and refuses what it is told to refuse."""

    def __init__(self, site: Site, callers: list[Principal]) -> None:
        self.site = site
        self.callers = callers
        self.refused: set[str] = set()
        self.asked: list[list[str]] = []

    def ask(self, key: str, said: str, caller: int = 0) -> Asked[Any]:
        return Asked(self.callers[caller], key, hashlib.sha256(said.encode()).digest(), Note(text=said))

    async def write(
        self, session: WriteSession, asked: Sequence[Asked[Any]], now: datetime
    ) -> list[Outcome | MereauError]:
        self.asked.append([item.body.text for item in asked])
        outcomes: list[Outcome | MereauError] = []
        for item in asked:
            if item.body.text in self.refused:
                outcomes.append(ConflictError("Not that."))
                continue
            await journal.record(
                session, at=now, actor="key:test", action="noted", subject_id=item.body.text, detail={}
            )
            outcomes.append(Outcome(Note(text=f"{item.body.text}!"), status=202))
        return outcomes

    async def answer(self, *asked: Asked[Any]) -> list[Any]:
        """Each answer as (status, body, replayed), each refusal as its class."""
        answers = await once.answer_all(self.site, asked, self.write)
        return [
            (one.status, Note.model_validate_json(one.body).text, one.replayed)
            if isinstance(one, Answer)
            else type(one)
            for one in answers
        ]

    async def notes(self) -> list[str]:
        async with self.site.engine.connect() as connection:
            query = "select subject_id from journal_entries where action = 'noted' order by id"
            return list((await connection.execute(text(query))).scalars())

    async def kept(self) -> int:
        async with self.site.engine.connect() as connection:
            return int(await connection.scalar(text("select count(*) from idempotency_keys")) or 0)


@pytest.fixture
async def desk(engine: AsyncEngine) -> Desk:
    callers = []
    async with transaction(engine) as session:
        for name in ("till", "web"):
            key, _ = await service.create_api_key(session, KeyDraft(Role.OPERATOR, name), NOW)
            callers.append(Principal(key.id, Role.OPERATOR, frozenset()))
    return Desk(make_site(engine, ManualClock(NOW)), callers)


async def test_each_is_answered_in_its_place(desk: Desk) -> None:
    """What was answered before, what contradicts it, what is new, its twin, and what is refused, all in one call."""
    assert await desk.answer(desk.ask("k1", "tea")) == [(202, "tea!", False)]
    desk.refused = {"salt"}
    answers = await desk.answer(
        desk.ask("k1", "tea"),
        desk.ask("k1", "coffee"),
        desk.ask("k2", "milk"),
        desk.ask("k2", "milk"),
        desk.ask("k3", "salt"),
        desk.ask("k4", "bread"),
    )
    assert answers == [
        (202, "tea!", True), IdempotencyKeyReusedError, (202, "milk!", False), IdempotencyInFlightError, ConflictError,
        (202, "bread!", False),
    ]  # fmt: skip
    assert desk.asked == [["tea"], ["milk", "salt", "bread"]]
    assert await desk.notes() == ["tea", "milk", "bread"]


async def test_what_is_answered_already_asks_for_nothing(desk: Desk) -> None:
    for replayed in (False, True, True):
        assert await desk.answer(desk.ask("k1", "tea")) == [(202, "tea!", replayed)]
    assert (desk.asked, await desk.notes(), await desk.kept()) == ([["tea"]], ["tea"], 1)


async def test_a_refusal_is_judged_anew(desk: Desk) -> None:
    desk.refused = {"tea"}
    assert await desk.answer(desk.ask("k1", "tea")) == [ConflictError]
    assert await desk.kept() == 0
    desk.refused = set()
    assert await desk.answer(desk.ask("k1", "tea")) == [(202, "tea!", False)]


async def test_one_key_of_two_callers_is_two_keys(desk: Desk) -> None:
    answers = await desk.answer(desk.ask("k1", "tea"), desk.ask("k1", "milk", caller=1))
    assert answers == [(202, "tea!", False), (202, "milk!", False)]
    assert await desk.answer(desk.ask("k1", "milk", caller=1)) == [(202, "milk!", True)]


@pytest.mark.parametrize("said", ["tea", "milk"])
async def test_of_two_under_one_key_the_first_is_under_way(desk: Desk, said: str) -> None:
    """Whatever the second says: its body is compared once there is an answer to compare it with."""
    assert await desk.answer(desk.ask("k1", "tea"), desk.ask("k1", said)) == [
        (202, "tea!", False), IdempotencyInFlightError,
    ]  # fmt: skip
    expected = (202, "tea!", True) if said == "tea" else IdempotencyKeyReusedError
    assert await desk.answer(desk.ask("k1", said)) == [expected]


async def test_an_effect_that_breaks_leaves_nothing_of_anybody(desk: Desk) -> None:
    async def broken(session: WriteSession, asked: Sequence[Asked[Any]], now: datetime) -> list[Outcome | MereauError]:
        await desk.write(session, asked, now)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await once.answer_all(desk.site, [desk.ask("k1", "tea"), desk.ask("k2", "milk")], broken)
    assert (await desk.notes(), await desk.kept()) == ([], 0)
    assert await desk.answer(desk.ask("k1", "milk")) == [(202, "milk!", False)], "the key is free again"


async def test_an_effect_that_answers_too_few_is_a_bug_and_writes_nothing(desk: Desk) -> None:
    async def forgetful(
        session: WriteSession, asked: Sequence[Asked[Any]], now: datetime
    ) -> list[Outcome | MereauError]:
        return (await desk.write(session, asked, now))[1:]

    with pytest.raises(ValueError, match="zip"):
        await once.answer_all(desk.site, [desk.ask("k1", "tea"), desk.ask("k2", "milk")], forgetful)
    assert (await desk.notes(), await desk.kept()) == ([], 0)


async def test_a_key_that_somebody_holds_is_under_way_and_the_others_go_on(desk: Desk) -> None:
    waiting = desk.ask("k1", "tea")
    async with transaction(desk.site.engine) as session:
        await session.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": once.lock_of(*waiting.name)})
        answers = await desk.answer(waiting, desk.ask("k2", "milk"))
    assert answers == [IdempotencyInFlightError, (202, "milk!", False)]
    assert await desk.answer(waiting) == [(202, "tea!", False)]
