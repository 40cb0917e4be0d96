"""Scores and lifecycles to the edge: who is how many fifths up, and on which day a name changes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import a_line
from factories.segments import Sorting, make_sorting
from mereau.core.db import transaction
from mereau.segments import service

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)


async def worked_out(sorting: Sorting) -> int:
    async with transaction(sorting.engine) as session:
        return await service.refresh_facts(session, sorting.now)


async def column(sorting: Sorting, name: str) -> list[Any]:
    """One figure of every member, by number."""
    found = {row.member_id: getattr(row, name) for row in await sorting.rows("select * from member_facts")}
    return [found[member] for member in sorting.members]


def fifths(figures: Sequence[int]) -> list[int]:
    """1 + floor(5 r / n) with r of n below."""
    return [1 + 5 * sum(other < mine for other in figures) // len(figures) for mine in figures]


@pytest.mark.parametrize(
    ("amounts", "scores"),
    [
        ([100], [1]),
        ([100, 200], [1, 3]),
        ([100, 200, 300], [1, 2, 4]),
        ([100, 200, 300, 400, 500], [1, 2, 3, 4, 5]),
        ([500, 400, 300, 200, 100], [5, 4, 3, 2, 1]),
        ([100, 200, 300, 400, 500, 600, 700], [1, 1, 2, 3, 3, 4, 5]),
        # Equals share a score, and leave a gap above.
        ([300, 300, 300, 300, 300], [1, 1, 1, 1, 1]),
        ([100, 300, 300, 300, 300], [1, 2, 2, 2, 2]),
        ([100, 100, 100, 100, 300], [1, 1, 1, 1, 5]),
        ([100, 100, 200, 200, 300], [1, 1, 3, 3, 5]),
    ],
)
async def test_fifths_of_those_who_bought(engine: AsyncEngine, amounts: list[int], scores: list[int]) -> None:
    assert fifths(amounts) == scores
    sorting = await make_sorting(engine, member_count=len(amounts) + 1)
    await sorting.record(*(sorting.a_sale(a_line(amount), member=i) for i, amount in enumerate(amounts)))
    await worked_out(sorting)
    # Somebody who never bought has no score, and moves nobody else's.
    assert await column(sorting, "monetary") == [*scores, None]
    assert await column(sorting, "frequency") == [1] * len(amounts) + [None]


async def test_each_score_has_its_own_order(engine: AsyncEngine) -> None:
    """The one who came last bought least and most rarely."""
    sorting = await make_sorting(engine, member_count=5)
    for member in range(5):
        for _ in range(5 - member):
            at = sorting.now - (5 - member) * DAY
            await sorting.sell(a_line(1_000 - 100 * member), member=member, occurred_at=at)
    await worked_out(sorting)
    assert await column(sorting, "recency") == [1, 2, 3, 4, 5]
    assert await column(sorting, "frequency") == [5, 4, 3, 2, 1]
    assert await column(sorting, "monetary") == [5, 4, 3, 2, 1]


async def test_a_cell_is_found_by_both_its_ends(engine: AsyncEngine) -> None:
    sorting = await make_sorting(engine, member_count=6)
    amounts = [100, 200, 300, 400, 500]
    await sorting.record(*(sorting.a_sale(a_line(amount), member=i) for i, amount in enumerate(amounts)))
    for low in range(1, 6):
        for high in range(low, 6):
            cell = {"rfm": {"monetary": {"min": low, "max": high}}}
            assert await sorting.found(cell) == list(range(low - 1, high)), cell
    # Whoever never bought is in no cell, and so in the negation of all of them.
    whole = {"rfm": {"monetary": {"min": 1}, "recency": {"max": 5}}}
    assert await sorting.found(whole) == [0, 1, 2, 3, 4]
    assert await sorting.found({"not": whole}) == [5]


async def test_the_year_ends_to_the_instant(sorting: Sorting) -> None:
    for member, age in enumerate((365 * DAY - TICK, 365 * DAY)):
        await sorting.sell(a_line(700), member=member, occurred_at=sorting.now - age)
        await sorting.sell(a_line(100), member=member)
    await worked_out(sorting)
    assert (await column(sorting, "year_purchases"))[:2] == [2, 1]
    assert (await column(sorting, "year_amount_minor"))[:2] == [800, 100]
    assert (await column(sorting, "purchases"))[:2] == [2, 2]
    assert (await column(sorting, "amount_minor"))[:2] == [800, 800]


LIFECYCLES = [
    # ages of the purchases, age of the membership: name
    ((), timedelta(), "new"),
    ((), 90 * DAY, "new"),
    ((), 90 * DAY + TICK, "lapsed"),
    ((timedelta(),), 400 * DAY, "new"),
    ((90 * DAY,), 400 * DAY, "new"),
    ((90 * DAY + TICK,), 400 * DAY, "regular"),
    # Who bought twice this year, the last time today, is the best of them all by every score.
    ((timedelta(), 90 * DAY + TICK), 400 * DAY, "champion"),
    ((180 * DAY,), 400 * DAY, "regular"),
    ((180 * DAY + TICK,), 400 * DAY, "at_risk"),
    ((365 * DAY,), 400 * DAY, "at_risk"),
    ((365 * DAY + TICK,), 400 * DAY, "lapsed"),
    ((timedelta(), 700 * DAY), 700 * DAY, "regular"),
]


async def test_a_name_changes_to_the_instant(engine: AsyncEngine) -> None:
    """All at once: nobody's name depends on the others' but a champion's."""
    sorting = await make_sorting(engine, member_count=len(LIFECYCLES))
    for member, (purchases, membership, _) in enumerate(LIFECYCLES):
        await sorting.write(
            "update members set created_at = :at where id = :id",
            at=sorting.now - membership,
            id=sorting.members[member],
        )
        for age in purchases:
            await sorting.sell(a_line(100), member=member, occurred_at=sorting.now - age)
    await worked_out(sorting)
    assert await column(sorting, "lifecycle") == [name for _, _, name in LIFECYCLES]
    for name in ("new", "regular", "at_risk", "lapsed", "champion"):
        wanted = [i for i, (_, _, other) in enumerate(LIFECYCLES) if other == name]
        assert await sorting.found({"lifecycle": {"in": [name]}}) == wanted
        rest = [i for i in range(len(LIFECYCLES)) if i not in wanted]
        assert await sorting.found({"not": {"lifecycle": {"in": [name]}}}) == rest


async def test_a_champion_is_one_by_every_score(engine: AsyncEngine) -> None:
    """Five regulars; the best of all in two figures is none while the third is missing."""
    sorting = await make_sorting(engine, member_count=5)
    for member in range(5):
        for age in (100 + 10 * member, 50 - member):
            await sorting.sell(a_line(1_000 + 100 * member), member=member, occurred_at=sorting.now - age * DAY)
    await worked_out(sorting)
    # They bought as often as each other: the best score of equals is the lowest.
    assert await column(sorting, "frequency") == [1] * 5
    assert await column(sorting, "lifecycle") == ["regular"] * 5
    for member in (3, 4):
        await sorting.sell(a_line(100), member=member)
    await worked_out(sorting)
    assert await column(sorting, "frequency") == [1, 1, 1, 4, 4]
    assert await column(sorting, "lifecycle") == ["regular"] * 3 + ["champion"] * 2


async def test_what_comes_back_leaves_the_facts(sorting: Sorting) -> None:
    first = await sorting.sell(a_line(900, quantity=3), member=0, occurred_at=sorting.now - 10 * DAY)
    last = await sorting.sell(a_line(500), member=0)
    await sorting.bring_back(first, (1, 1))
    await worked_out(sorting)
    before = await sorting.facts()
    assert (before.purchases, before.amount_minor, before.first_purchase_at) == (2, 1_100, sorting.now - 10 * DAY)
    await sorting.bring_back(first, (1, 2))
    assert await worked_out(sorting) == 1
    after = await sorting.facts()
    assert (after.purchases, after.amount_minor, after.first_purchase_at) == (1, 500, sorting.now)
    await sorting.bring_back(last)
    await worked_out(sorting)
    gone = await sorting.facts()
    assert (gone.purchases, gone.recency, gone.last_purchase_at, gone.lifecycle) == (0, None, None, "new")
