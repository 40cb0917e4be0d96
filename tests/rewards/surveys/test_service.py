"""One question after each delivery, answered once by whoever has the link."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from factories.goods import Workshop
from factories.rewards import SECRET
from mereau.auth.domain import Reach
from mereau.core.db import snapshot, transaction
from mereau.core.errors import NotFoundError
from mereau.rewards.surveys import service as surveys
from mereau.rewards.surveys import tasks
from mereau.rewards.surveys.domain import Results, survey_code
from mereau.rewards.surveys.models import Survey

DAY = timedelta(days=1)


async def ask(workshop: Workshop) -> int:
    return await tasks.follow_deliveries(workshop.engine, SECRET, workshop.now)


async def listed(workshop: Workshop, reach: Reach | None = None, before_id: str | None = None) -> list[Survey]:
    async with snapshot(workshop.engine) as session:
        return await surveys.list_surveys(session, reach or Reach(), before_id=before_id, limit=10)


async def asked(workshop: Workshop, **changes: Any) -> tuple[Survey, str]:
    """The survey after a delivery, and its code."""
    _, view = await workshop.cleared(**changes)
    await workshop.send(view)
    await ask(workshop)
    survey = next(one for one in await listed(workshop) if one.delivery_id == view.delivery.id)
    code = surveys.code_of(survey, SECRET, workshop.now)
    assert code is not None
    return survey, code


async def answer(workshop: Workshop, code: str, score: int = 9, comment: str | None = None) -> Survey:
    async with transaction(workshop.engine) as session:
        return await surveys.answer(session, code, score, comment, workshop.now)


async def test_a_delivery_is_asked_about_once(workshop: Workshop) -> None:
    survey, code = await asked(workshop)
    for _ in range(2):
        await workshop.write("update outbox_cursors set seq = 0 where consumer = 'surveys'")
        await ask(workshop)
    assert [one.id for one in await listed(workshop)] == [survey.id]
    (event,) = await workshop.events("survey.asked")
    assert (event.subject_id, event.payload["delivery_id"]) == (survey.id, survey.delivery_id)
    assert code == survey_code(SECRET, survey.id)
    assert code not in str(await workshop.rows("select * from surveys"))


async def test_what_has_not_arrived_is_not_asked_about(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    await workshop.send(view, "shipped")
    assert await ask(workshop) > 0
    assert await listed(workshop) == []
    assert await ask(workshop) == 0


async def test_listeners_side_by_side_ask_once(workshop: Workshop) -> None:
    _, view = await workshop.cleared()
    await workshop.send(view)
    await asyncio.gather(*(ask(workshop) for _ in range(4)))
    assert len(await workshop.events("survey.asked")) == 1


async def test_an_answer_counts_and_is_told(workshop: Workshop) -> None:
    survey, code = await asked(workshop)
    answered = await answer(workshop, code, 10, "Vite arrivé.")
    assert (answered.id, answered.score, answered.comment) == (survey.id, 10, "Vite arrivé.")
    (event,) = await workshop.events("survey.answered")
    assert event.payload == {"member_id": survey.member_id, "delivery_id": survey.delivery_id, "score": 10}
    assert surveys.code_of(answered, SECRET, workshop.now) is None


async def test_unknown_used_and_old_codes_are_one_answer(workshop: Workshop) -> None:
    _, used = await asked(workshop)
    await answer(workshop, used)
    survey, old = await asked(workshop)
    workshop.now = survey.expires_at
    refusals = []
    for code in (used, old, "7K2M-9QRT-4VWX-0Z1A", "nonsense"):
        with pytest.raises(NotFoundError) as refused:
            await answer(workshop, code)
        refusals.append(str(refused.value))
    assert set(refusals) == {"There is no such survey."}
    assert surveys.code_of(survey, SECRET, workshop.now) is None


async def test_of_many_answers_at_once_one_counts(workshop: Workshop) -> None:
    _, code = await asked(workshop)
    results = await asyncio.gather(*(answer(workshop, code, score) for score in range(6)), return_exceptions=True)
    counted = [result for result in results if isinstance(result, Survey)]
    assert len(counted) == 1
    assert sum(isinstance(result, NotFoundError) for result in results) == 5
    assert (await listed(workshop))[0].score == counted[0].score
    assert len(await workshop.events("survey.answered")) == 1


async def test_surveys_are_seen_by_who_has_to_do_with_them(workshop: Workshop) -> None:
    survey, _ = await asked(workshop)
    mine = [Reach(member_id=workshop.members[0]), Reach(partner_id=workshop.partners[1].id)]
    theirs = [Reach(member_id=workshop.members[1]), Reach(partner_id=workshop.partners[0].id)]
    assert [[one.id for one in await listed(workshop, reach)] for reach in mine] == [[survey.id]] * 2
    assert [await listed(workshop, reach) for reach in theirs] == [[], []]
    assert await listed(workshop, before_id=survey.id) == []


async def test_results_are_of_who_was_asked_in_the_period(workshop: Workshop) -> None:
    _, first = await asked(workshop)
    await answer(workshop, first, 9)
    workshop.now += DAY
    await asked(workshop)

    async def results(**bounds: Any) -> Results:
        async with snapshot(workshop.engine) as session:
            return await surveys.results(session, **{"since": None, "until": None} | bounds)

    assert await results() == Results(2, 1, 0, 0)
    assert await results(until=workshop.now) == Results(1, 1, 0, 0)
    assert await results(since=workshop.now) == Results(1, 0, 0, 0)
    assert await results(partner_id=workshop.partners[0].id) == Results(0, 0, 0, 0)
