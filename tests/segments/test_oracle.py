"""Any filter over any history finds whom plain Python finds."""

import random
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import a_line
from factories.segments import Sorting, make_sorting
from mereau.core.db import snapshot, transaction
from mereau.segments import service
from mereau.segments.filters.domain import DEPTH_MAX, parse_filter
from mereau.segments.filters.queries import matching
from mereau.segments.service import Named
from segments.oracle import Oracle, read

DAYS = st.integers(0, 400)


def ranges(low: int, high: int) -> st.SearchStrategy[dict[str, int]]:
    ends = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    both = ends.map(lambda pair: {"min": pair[0], "max": pair[1]})
    return (
        both
        | st.integers(low, high).map(lambda end: {"min": end})
        | st.integers(low, high).map(lambda end: {"max": end})
    )


def some(*names: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)


PURCHASES = st.fixed_dictionaries(
    {},
    optional={
        "within_days": st.integers(1, 400), "count": ranges(0, 4), "amount_minor": ranges(0, 30_000),
        "average_minor": ranges(0, 12_000), "channels": some("web", "shop"), "skus": some("tea", "cake"),
        "categories": some("drinks"), "brands": some("acme"), "labels": some("bio", "local"),
    },
)  # fmt: skip
QUESTIONS = st.one_of(
    PURCHASES.map(lambda said: {"purchases": said}),
    st.tuples(st.sampled_from(("enrolled", "first_purchase", "last_purchase")), ranges(0, 400)).map(
        lambda pair: {pair[0]: {"days_ago": pair[1]}}
    ),
    ranges(0, 300).map(lambda said: {"balance": {"tokens": said}}),
    st.dictionaries(st.sampled_from(("recency", "frequency", "monetary")), ranges(1, 5), min_size=1).map(
        lambda said: {"rfm": said}
    ),
    some("new", "regular", "champion", "at_risk", "lapsed").map(lambda names: {"lifecycle": {"in": names}}),
    some("bronze", "silver").map(lambda names: {"tier": {"in": names}}),
    some("fr", "en").map(lambda names: {"locale": {"in": names}}),
    some("staff", "press").map(lambda names: {"label": {"in": names}}),
    st.just({"static_list": {"in": ["vip"]}}),
)
TREES = st.recursive(
    QUESTIONS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=6,
).filter(lambda tree: depth(tree) <= DEPTH_MAX)


def depth(tree: dict[str, Any]) -> int:
    ((word, said),) = tree.items()
    if word == "not":
        return 1 + depth(said)
    return 1 + max(map(depth, said)) if word in {"all", "any"} else 1


async def live(sorting: Sorting, draw: random.Random) -> None:
    """Two years of buying and bringing back, with labels, languages, tiers and a list."""
    everybody = range(len(sorting.members))
    for _ in range(60):
        lines = [
            a_line(
                draw.choice((500, 1_000, 2_500, 9_999)),
                quantity=draw.randint(1, 3),
                sku=draw.choice(("tea", "cake", "bread")),
                category=draw.choice((None, "drinks")),
                brand=draw.choice((None, "acme")),
                labels=draw.choice(((), ("bio",), ("bio", "local"))),
                discount_minor=draw.choice((0, 100)),
            )
            for _ in range(draw.randint(1, 3))
        ]
        at = sorting.now - timedelta(hours=draw.randint(0, 700 * 24))
        channel = draw.choice((None, "web", "shop"))
        member = draw.choice([None, *everybody, *everybody])
        sale = await sorting.sell(*lines, member=member, occurred_at=at, channel=channel)
        if draw.random() < 0.3:
            number = draw.randint(1, len(lines))
            await sorting.bring_back(sale, (number, draw.randint(1, lines[number - 1].quantity)))
    for member in everybody:
        await sorting.write(
            "update members set locale = :locale, labels = :labels, created_at = :at where id = :id",
            locale=draw.choice(("fr", "en")),
            labels=draw.choice(([], ["staff"], ["staff", "press"])),
            at=sorting.now - timedelta(days=draw.randint(0, 700)),
            id=sorting.members[member],
        )
    await sorting.write("update members set status = 'blocked' where id = :id", id=sorting.members[0])
    await sorting.enforce(20, 150)
    await sorting.settle()
    vip = await sorting.save(None, "vip")
    await sorting.list_members(vip, add=Named(sorting.members[1:3], (), "/add"))


@pytest.fixture
async def told(engine: AsyncEngine) -> tuple[Sorting, Oracle]:
    sorting = await make_sorting(engine, member_count=12)
    await live(sorting, random.Random(20826))
    async with transaction(engine) as session:
        await service.refresh_facts(session, sorting.now)
    return sorting, await read(sorting)


@settings(max_examples=150)
@given(raw=TREES)
async def test_a_filter_finds_whom_python_finds(told: tuple[Sorting, Oracle], raw: dict[str, Any]) -> None:
    sorting, oracle = told
    node = parse_filter(raw)
    async with snapshot(sorting.engine) as session:
        found = set(await session.scalars(matching(node, sorting.now, ZoneInfo("Europe/Paris"))))
    assert found == oracle.find(node)


async def test_the_facts_are_those_of_python(told: tuple[Sorting, Oracle]) -> None:
    sorting, oracle = told
    rows = await sorting.rows("select * from member_facts")
    assert {row.member_id for row in rows} == set(oracle.people)
    for row in rows:
        sales = oracle.bought[row.member_id]
        assert (row.purchases, row.amount_minor) == (len(sales), sum(sale.minor for sale in sales))
        for name in ("recency", "frequency", "monetary"):
            assert getattr(row, name) == oracle.scores[name].get(row.member_id)
        assert row.lifecycle == oracle.lifecycle(row.member_id)
    assert len({row.lifecycle for row in rows}) >= 3
