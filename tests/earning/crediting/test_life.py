"""When what a rule gives activates and expires: the programme's word, or the rule's own."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from factories.earning import Shop, a_line
from factories.rules import fixed
from mereau.core.db import transaction
from mereau.core.errors import InvalidInputError
from mereau.earning.crediting.domain import life_by_rule
from mereau.earning.domain import parse_spec
from mereau.earning.rules import service as rules
from mereau.programs.lives.domain import Delayed, Lives, Rolling

NOON = datetime(2026, 1, 31, 11, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)


def of(**fields: Any) -> tuple[datetime, datetime | None]:
    """Of a rule in a programme with a window of a day and a life of thirty."""
    lives = Lives(Delayed(delay_s=86_400), Rolling(amount=30), PARIS)
    return life_by_rule(parse_spec(fixed(1) | fields), lives, NOON, NOON)


def test_a_rule_that_says_nothing_follows_the_programme() -> None:
    assert of() == (NOON + DAY, NOON + 31 * DAY)


def test_a_rule_may_say_when_its_tokens_activate() -> None:
    assert of(activation={"mode": "immediate"}) == (NOON, NOON + 30 * DAY)
    assert of(activation={"mode": "delay", "delay_s": 3_600})[0] == NOON + timedelta(hours=1)
    assert of(activation={"mode": "event", "latest_s": 7_200}) == (
        NOON + timedelta(hours=2), NOON + timedelta(hours=2) + 30 * DAY,
    )  # fmt: skip
    assert of(activation={"mode": "dates", "dates": ["03-01"]})[0] == datetime(2026, 2, 28, 23, tzinfo=UTC)


def test_a_rule_may_say_when_its_tokens_expire() -> None:
    assert of(expiry={"mode": "never"}) == (NOON + DAY, None)
    month = {"mode": "rolling", "unit": "month", "amount": 1}
    assert of(expiry=month, activation={"mode": "immediate"})[1] == datetime(2026, 2, 28, 11, tzinfo=UTC)
    assert of(expiry=month | {"round_to": "year"})[1] == datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert of(expiry={"mode": "calendar", "dates": ["12-31"]})[1] == datetime(2026, 12, 30, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"activation": {"mode": "event"}}, "/activation/event/latest_s"),
        ({"activation": {"mode": "wish"}}, "/activation"),
        ({"expiry": {"mode": "inactivity", "days": 90}}, "/expiry"),
        ({"expiry": {"mode": "rolling", "unit": "month", "amount": 121}}, "/expiry/rolling/amount"),
        ({"expiry": {}}, "/expiry"),
    ],
    ids=str,
)
def test_what_a_rule_cannot_say_of_lives(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        of(**fields)
    assert [found.pointer for found in refusal.value.errors] == [pointer]


def test_a_rule_with_lives_reads_back_as_it_was_written() -> None:
    spec = parse_spec(fixed(1) | {"activation": {"mode": "immediate"}, "expiry": {"mode": "never"}})
    assert parse_spec(spec.to_dict()) == spec
    assert (spec.to_dict()["activation"], spec.to_dict()["expiry"]) == ({"mode": "immediate"}, {"mode": "never"})


async def test_lots_of_one_sale_may_live_differently(shop: Shop) -> None:
    await shop.write("update programs set activation_delay_s = 86400, token_life_days = 30")
    quick = fixed(5) | {"activation": {"mode": "immediate"}, "expiry": {"mode": "rolling", "amount": 7}}
    await shop.activate(quick, "quick")
    await shop.sell(a_line(1_000))
    lots = await shop.rows("select tokens, state, activates_at, expires_at from lots order by tokens")
    assert [(lot.tokens, lot.state, lot.activates_at, lot.expires_at) for lot in lots] == [
        (5, "active", shop.now, shop.now + 7 * DAY),
        (10, "pending", shop.now + DAY, shop.now + 31 * DAY),
    ]
    assert await shop.counters() == (5, 10, 0, 0)


@pytest.mark.parametrize(
    ("expiry", "pointer"),
    [
        ({"mode": "rolling", "amount": 89}, "/expiry/amount"),
        ({"mode": "rolling", "unit": "month", "amount": 2}, "/expiry/amount"),
        ({"mode": "calendar", "dates": ["12-31"], "days_min": 89}, "/expiry/days_min"),
        ({"mode": "rolling", "amount": 90}, None),
        ({"mode": "calendar", "dates": ["12-31"], "days_min": 90}, None),
        ({"mode": "never"}, None),
        (None, None),
    ],
)
async def test_a_rule_cannot_promise_less_than_the_contract_guarantees(
    shop: Shop, expiry: dict[str, Any] | None, pointer: str | None
) -> None:
    """Neither when it is drafted nor, where the contract came later, when it begins to pay."""
    spec, guaranteed = fixed(5) | ({} if expiry is None else {"expiry": expiry}), 90 * 86_400

    async def draft(guaranteed_life_s: int | None) -> str:
        async with transaction(shop.engine) as session:
            rule = await rules.create_rule(
                session, "short", spec, shop.now, actor="key:k", guaranteed_life_s=guaranteed_life_s
            )
            return rule.id

    async def activate(rule_id: str) -> None:
        async with transaction(shop.engine) as session:
            await rules.activate_rule(session, rule_id, shop.now, actor="key:k", guaranteed_life_s=guaranteed)

    older = await draft(None)
    if pointer is None:
        await activate(await draft(guaranteed))
        await activate(older)
        return
    for attempt in (draft(guaranteed), activate(older)):
        with pytest.raises(InvalidInputError, match="contract") as refusal:
            await attempt
        assert [(found.pointer, found.code) for found in refusal.value.errors] == [(pointer, "shorter_than_guaranteed")]
    assert [row.status for row in await shop.rows("select status from earning_rules where external_id = 'short'")] == [
        "draft"
    ]
