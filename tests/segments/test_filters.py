"""What each question finds; a twin beside each that is found who is not."""

from datetime import timedelta
from typing import Any

import pytest

from factories.earning import a_line
from factories.segments import Sorting
from mereau.segments.service import Named

DAY = timedelta(days=1)


async def test_purchases_are_counted_and_added_up_as_they_were_kept(sorting: Sorting) -> None:
    for member, amounts in enumerate([(), (1_000,), (1_000, 3_000)]):
        for amount in amounts:
            await sorting.sell(a_line(amount), member=member)
    back = await sorting.sell(a_line(9_000, quantity=3), member=3)
    await sorting.bring_back(back, (1, 2))
    for question, wanted in (
        ({}, [1, 2, 3]),
        ({"count": {"min": 2}}, [2]),
        ({"count": {"max": 1}}, [0, 1, 3]),
        ({"count": {"min": 1, "max": 1}}, [1, 3]),
        ({"amount_minor": {"min": 3_000}}, [2, 3]),
        ({"amount_minor": {"max": 2_999}}, [0, 1]),
        ({"average_minor": {"min": 2_000}}, [2, 3]),
        ({"average_minor": {"max": 1_999}}, [1]),
        ({"within_days": 5, "count": {"min": 2}}, [2]),
        ({"within_days": 5, "count": {"max": 0}}, [0]),
    ):
        assert await sorting.found({"purchases": question}) == wanted, question
    await sorting.bring_back(back, (1, 1))
    assert await sorting.found({"purchases": {"within_days": 5}}) == [1, 2]
    assert await sorting.found({"purchases": {}}) == [1, 2]


@pytest.mark.parametrize(
    ("line", "sale", "question"),
    [
        ({"sku": "tea"}, {}, {"skus": ["tea", "milk"]}),
        ({"category": "drinks"}, {}, {"categories": ["drinks"]}),
        ({"brand": "acme"}, {}, {"brands": ["acme"]}),
        ({"labels": ("bio", "local")}, {}, {"labels": ["local", "new"]}),
        ({}, {"channel": "web"}, {"channels": ["web"]}),
        ({}, {"location_id": "loc_1"}, {"location_ids": ["loc_1"]}),
    ],
)
async def test_what_was_bought_and_where(
    sorting: Sorting, line: dict[str, Any], sale: dict[str, Any], question: dict[str, Any]
) -> None:
    await sorting.sell(a_line(1_000, **line), a_line(500, sku="other"), member=1, **sale)
    await sorting.sell(a_line(1_000), member=2)
    assert await sorting.found({"purchases": question}) == [1]
    assert await sorting.found({"not": {"purchases": question}}) == [0, 2, 3]
    old = await sorting.sell(a_line(1_000, **line), member=3, occurred_at=sorting.now - 10 * DAY, **sale)
    assert await sorting.found({"purchases": question | {"within_days": 9}}) == [1]
    await sorting.bring_back(old)
    assert await sorting.found({"purchases": question}) == [1]


async def test_the_amount_is_of_the_lines_that_are_asked_for(sorting: Sorting) -> None:
    await sorting.sell(a_line(1_000, sku="tea"), a_line(9_000, sku="cake"), member=1)
    question = {"skus": ["tea"], "amount_minor": {"min": 1_001}}
    assert await sorting.found({"purchases": question}) == []
    assert await sorting.found({"purchases": question | {"amount_minor": {"min": 1_000}}}) == [1]


async def test_partners_are_told_apart(sorting: Sorting) -> None:
    await sorting.sell(member=1, partner=0)
    await sorting.sell(member=2, partner=1)
    assert await sorting.found({"purchases": {"partner_ids": [sorting.partners[1].id]}}) == [2]


@pytest.mark.parametrize(
    ("event", "days", "wanted"),
    [
        ("last_purchase", {"max": 9}, [1]),
        ("last_purchase", {"min": 10}, [2]),
        ("last_purchase", {"min": 10, "max": 10}, [2]),
        ("last_purchase", {"min": 0}, [1, 2]),
        ("first_purchase", {"min": 20, "max": 29}, [1]),
        ("first_purchase", {"max": 19}, [2]),
        ("enrolled", {"max": 0}, [0, 1, 2, 3]),
        ("enrolled", {"min": 1}, []),
    ],
)
async def test_days_ago_are_full_days(sorting: Sorting, event: str, days: dict[str, int], wanted: list[int]) -> None:
    for member, ages in ((1, (20, 0)), (2, (10,))):
        for age in ages:
            await sorting.sell(member=member, occurred_at=sorting.now - age * DAY)
    assert await sorting.found({event: {"days_ago": days}}) == wanted


async def test_what_the_member_is(sorting: Sorting) -> None:
    await sorting.write(
        "update members set locale = 'en', labels = '{staff,press}' where id = :id", id=sorting.members[1]
    )
    assert await sorting.found({"locale": {"in": ["en", "de"]}}) == [1]
    assert await sorting.found({"label": {"in": ["press"]}}) == [1]
    assert await sorting.found({"not": {"label": {"in": ["press"]}}}) == [0, 2, 3]
    await sorting.write("update members set status = 'blocked' where id = :id", id=sorting.members[1])
    assert await sorting.found({"label": {"in": ["press"]}}) == []


async def test_balance_tier_and_static_list(sorting: Sorting) -> None:
    await sorting.enforce(10, 30)
    for member, amount in enumerate((0, 1_000, 3_000, 3_000)):
        await sorting.sell(a_line(amount), member=member)
    await sorting.settle()
    vip = await sorting.save(None, "vip")
    await sorting.list_members(vip, add=_named(sorting, 1, 3))
    assert await sorting.found({"balance": {"tokens": {"min": 10, "max": 29}}}) == [1]
    assert await sorting.found({"balance": {"tokens": {"max": 0}}}) == [0]
    assert await sorting.found({"tier": {"in": ["silver"]}}) == [2, 3]
    assert await sorting.found({"not": {"tier": {"in": ["bronze", "silver"]}}}) == [0]
    assert await sorting.found({"static_list": {"in": ["vip"]}}) == [1, 3]
    both = {"all": [{"tier": {"in": ["silver"]}}, {"static_list": {"in": ["vip"]}}]}
    assert await sorting.found(both) == [3]
    assert await sorting.found({"any": both["all"]}) == [1, 2, 3]
    assert await sorting.found({"not": both}) == [0, 1, 2]


async def test_the_last_word_on_a_consent_counts(sorting: Sorting) -> None:
    statement = """
        insert into consents (id, member_id, kind, state, occurred_at, source, text_version, recorded_by)
        values (:id, :member, :kind, :state, :at, 'till', '1', 'test')
    """
    said = [(1, "given", 1), (2, "given", 2), (2, "withdrawn", 1), (3, "withdrawn", 2), (3, "given", 1)]
    for number, (member, state, age) in enumerate(said):
        await sorting.write(
            statement,
            id=f"con_{number}",
            member=sorting.members[member],
            kind="newsletter",
            state=state,
            at=sorting.now - age * DAY,
        )
    assert await sorting.found({"consent": {"kind": "newsletter"}}) == [1, 3]
    assert await sorting.found({"consent": {"kind": "profiling"}}) == []


@pytest.mark.parametrize(
    ("today", "born", "within", "found"),
    [
        ("2026-03-10", "1990-03-10", 0, True),
        ("2026-03-10", "1990-03-11", 0, False),
        ("2026-03-10", "1990-03-09", 300, False),
        ("2026-12-30", "1990-01-02", 3, True),
        ("2026-12-30", "1990-01-03", 3, False),
        ("2026-02-28", "1992-02-29", 0, True),
        ("2028-02-28", "1992-02-29", 0, False),
        ("2028-02-29", "1992-02-29", 0, True),
    ],
)
async def test_birthdays_ahead(sorting: Sorting, today: str, born: str, within: int, found: bool) -> None:
    statement = "update members set birth_date = cast(:born as date) where id = :id"
    await sorting.write(statement, born=born, id=sorting.members[1])
    sorting.now = sorting.now.fromisoformat(f"{today}T12:00:00+00:00")
    assert await sorting.found({"birthday": {"within_days": within}}) == ([1] if found else [])


def _named(sorting: Sorting, *members: int) -> Named:
    return Named([sorting.members[member] for member in members], (), "/add")
