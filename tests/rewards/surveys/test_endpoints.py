"""Surveys over HTTP: the link is the right to answer, once, and answers are their partner's own."""

import asyncio

from api.goods import open_survey
from api.world import ApiWorld

REFUSED = [
    ({"score": -1}, "/score"),
    ({"score": 11}, "/score"),
    ({"score": 9.5}, "/score"),
    ({"score": "9"}, "/score"),
    ({"score": True}, "/score"),
    ({"score": None}, "/score"),
    ({}, "/score"),
    ({"score": 9, "comment": ""}, "/comment"),
    ({"score": 9, "comment": "x" * 281}, "/comment"),
    ({"score": 9, "name": "Camille"}, "/name"),
]


async def test_wrong_answers_leave_the_survey_open(stocked_world: ApiWorld) -> None:
    world = stocked_world
    path = f"/surveys/{await open_survey(world)}/answers"
    for body, pointer in REFUSED:
        response = await world.post(None, path, body)
        assert response.status_code == 422, body
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    # Six at once: one is counted, and the link is used.
    answers = await asyncio.gather(*(world.post(None, path, {"score": score}) for score in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [404] * 5
    told = {answer.json()["score"] for answer in answers if answer.status_code == 201}
    assert {(await world.get("operator", "/surveys")).json()["data"][0]["score"]} == told


async def test_both_ends_of_the_scale_and_the_longest_comment(stocked_world: ApiWorld) -> None:
    world = stocked_world
    for score, nps, side in ((0, -1_000, "detractors"), (10, 1_000, "promoters"), (7, 0, "passives")):
        code = await open_survey(world)
        body = {"score": score, "comment": "é" * 280}
        assert (await world.post(None, f"/surveys/{code.lower()}/answers", body)).status_code == 201
        results = (await world.get("auditor", "/surveys/results")).json()
        assert (results["nps_permille"], results[side], results["response_rate_permille"]) == (nps, 1, 1_000)


async def test_codes_are_for_their_member_and_answers_for_their_partner(stocked_world: ApiWorld) -> None:
    world = stocked_world
    code = await open_survey(world)
    seen = {
        who: [survey["code"] for survey in (await world.get(who, "/surveys")).json()["data"]]
        for who in ("member_a", "member_b", "partner_a", "partner_b", "staff", "operator", "auditor")
    }
    assert seen == {
        "member_a": [code], "member_b": [], "partner_a": [None], "partner_b": [], "staff": [None],
        "operator": [None], "auditor": [None],
    }  # fmt: skip
    assert (await world.get(None, "/surveys")).status_code == 401
    assert (await world.get("member_a", "/surveys/results")).status_code == 403
    backwards = {"since": "2027-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    assert (await world.get("operator", "/surveys/results", **backwards)).json()["asked"] == 0
    await world.post(None, f"/surveys/{code}/answers", {"score": 8, "comment": "Bien."})
    (mine,) = (await world.get("member_a", "/surveys")).json()["data"]
    assert (mine["code"], mine["score"], mine["comment"]) == (None, 8, "Bien.")


async def test_every_wrong_link_is_one_answer(stocked_world: ApiWorld) -> None:
    world = stocked_world
    used = await open_survey(world)
    await world.post(None, f"/surveys/{used}/answers", {"score": 8})
    answers = [
        await world.post(None, f"/surveys/{code}/answers", {"score": 8})
        for code in (used, "7K2M-9QRT-4VWX-0Z1A", "nonsense", "x" * 300, world.ids["survey"])
    ]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {(404, "There is no such survey.")}
