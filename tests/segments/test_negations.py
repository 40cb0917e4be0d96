"""Every question against its negation: together they find everybody once, alone or in any company."""

import random
from datetime import timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.segments import Sorting, make_sorting
from mereau.core.db import snapshot, transaction
from mereau.segments import service
from mereau.segments.filters.domain import parse_filter
from mereau.segments.filters.queries import matching
from segments.test_oracle import live

DAY = timedelta(days=1)
QUESTIONS: list[dict[str, Any]] = [
    {"purchases": {}},
    {"purchases": {"count": {"min": 5}}},
    {"purchases": {"count": {"max": 4}}},
    {"purchases": {"amount_minor": {"min": 20_000}}},
    {"purchases": {"average_minor": {"max": 6_000}}},
    {"purchases": {"average_minor": {"min": 6_000, "max": 9_000}}},
    {"purchases": {"within_days": 60}},
    {"purchases": {"within_days": 300, "count": {"min": 1, "max": 2}}},
    {"purchases": {"skus": ["tea", "cake"], "within_days": 100}},
    {"purchases": {"categories": ["drinks"], "count": {"min": 3}}},
    {"purchases": {"brands": ["acme"], "amount_minor": {"min": 5_000}}},
    {"purchases": {"labels": ["local"]}},
    {"purchases": {"channels": ["web"], "count": {"max": 1}}},
    {"purchases": {"location_ids": ["loc_1"]}},
    {"purchases": {"partner_ids": ["{partner}"], "within_days": 90}},
    {"first_purchase": {"days_ago": {"min": 600}}},
    {"last_purchase": {"days_ago": {"max": 60}}},
    {"enrolled": {"days_ago": {"min": 300}}},
    {"balance": {"tokens": {"min": 200}}},
    {"balance": {"tokens": {"max": 200}}},
    {"rfm": {"recency": {"min": 4}}},
    {"rfm": {"frequency": {"max": 2}, "monetary": {"max": 3}}},
    {"birthday": {"within_days": 180}},
    {"consent": {"kind": "newsletter"}},
    {"consent": {"kind": "profiling"}},
    {"tier": {"in": ["silver"]}},
    {"tier": {"in": ["bronze", "silver"]}},
    {"lifecycle": {"in": ["regular", "champion"]}},
    {"locale": {"in": ["en"]}},
    {"label": {"in": ["staff"]}},
    {"static_list": {"in": ["vip"]}},
    {"static_list": {"in": ["vip", "other"]}},
]


class Asked:
    """Whom filters find among members who have lived; every question asked once."""

    def __init__(self, sorting: Sorting) -> None:
        self.sorting = sorting
        self.everybody = frozenset(sorting.members[1:])
        self.names = {"partner": sorting.partners[1].id}

    def written(self, question: dict[str, Any]) -> dict[str, Any]:
        """With the names that only this world knows."""
        said = dict(question)
        if "partner_ids" in said.get("purchases", {}):
            said["purchases"] = said["purchases"] | {"partner_ids": [self.names["partner"]]}
        return said

    async def find(self, raw: dict[str, Any]) -> frozenset[str]:
        query = matching(parse_filter(raw), self.sorting.now, ZoneInfo("Europe/Paris"))
        async with snapshot(self.sorting.engine) as session:
            found = list(await session.scalars(query))
        assert len(found) == len(set(found)), raw
        return frozenset(found)


@pytest.fixture
async def asked(engine: AsyncEngine) -> Asked:
    """Twelve members, the first of them blocked; see `live`."""
    sorting = await make_sorting(engine, member_count=12)
    draw = random.Random(4)
    await live(sorting, draw)
    for number, member in enumerate(sorting.members):
        await sorting.write(
            "update members set birth_date = cast(:born as date) where id = :id",
            born=None if number % 3 == 0 else f"{1950 + number}-{number:02}-28",
            id=member,
        )
        if number % 2:
            await sorting.sell(
                member=number, partner=1, location_id="loc_1", occurred_at=sorting.now - 9 * number * DAY
            )
        for age in (9, 3):
            await sorting.write(
                "insert into consents (id, member_id, kind, state, occurred_at, source, text_version, recorded_by)"
                " values (:id, :member, 'newsletter', :state, :at, 'till', '1', 'test')",
                id=f"con_{number}_{age}",
                member=member,
                state=draw.choice(("given", "withdrawn")),
                at=sorting.now - age * DAY,
            )
    await sorting.save(None, "other")
    async with transaction(engine) as session:
        await service.refresh_facts(session, sorting.now)
    return Asked(sorting)


async def test_each_question_and_its_negation_find_everybody_once(asked: Asked) -> None:
    told_apart = 0
    for question in QUESTIONS:
        said = asked.written(question)
        yes, no = await asked.find(said), await asked.find({"not": said})
        assert yes | no == asked.everybody, question
        assert not yes & no, question
        assert await asked.find({"not": {"not": said}}) == yes
        told_apart += bool(yes) and bool(no)
    # Otherwise the questions would say little: nearly all find some and leave some.
    assert told_apart >= len(QUESTIONS) - 4


async def test_groups_are_intersection_and_union(asked: Asked) -> None:
    everything = [asked.written(question) for question in QUESTIONS]
    alone = [await asked.find(question) for question in everything]
    for (one, left), (other, right) in pairwise(zip(everything, alone, strict=True)):
        assert await asked.find({"all": [one, other]}) == left & right, (one, other)
        assert await asked.find({"any": [one, other]}) == left | right, (one, other)
        assert await asked.find({"not": {"all": [one, other]}}) == asked.everybody - (left & right)
        assert await asked.find({"any": [{"not": one}, {"not": other}]}) == asked.everybody - (left & right)
    # The largest company that there is: every question in one statement, and nobody found twice.
    assert await asked.find({"any": everything}) == frozenset().union(*alone)
    assert await asked.find({"all": everything}) == asked.everybody.intersection(*alone)


@pytest.mark.parametrize("text", ["' or 1=1 --", "%", "_", "en'); drop table members; --", "\\", "é'é", "{en}", "$1"])
async def test_names_are_values_and_never_words_of_the_statement(sorting: Sorting, text: str) -> None:
    await sorting.write("update members set labels = array[:text], locale = :text where id = :id",
                        text=text, id=sorting.members[2])  # fmt: skip
    await sorting.sell(member=1)
    for question in ({"label": {"in": [text]}}, {"locale": {"in": [text]}}):
        assert await sorting.found(question) == [2]
    for name in ("skus", "categories", "brands", "labels", "channels", "partner_ids", "location_ids"):
        assert await sorting.found({"purchases": {name: [text]}}) == []
