"""Settings of a running programme, and what the contract would not carry out."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from mereau.core.db import snapshot, transaction
from mereau.core.errors import InvalidInputError
from mereau.programs import service as programs
from mereau.programs.lives.domain import (
    Activation,
    Calendar,
    Delayed,
    Expiry,
    Immediate,
    Inactivity,
    Never,
    OnDates,
    OnEvent,
    Rolling,
)
from mereau.programs.service import ProgramDraft
from mereau.programs.settings import domain, service
from mereau.programs.settings.service import SettingsChange

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY_S = 86_400
DRAFT = ProgramDraft("demo", "Mereau démo", "Mereau demo", "Point", "PT")
POLICIES = [
    Never(),
    Rolling(amount=400),
    Rolling(amount=12, unit="month", round_to="month"),
    Calendar(dates=frozenset({"01-31"}), days_min=200),
    Inactivity(days=365, reset_by="earning"),
]


@pytest.fixture
async def programme(engine: AsyncEngine) -> AsyncEngine:
    async with transaction(engine) as session:
        await programs.create(session, DRAFT, NOW)
    return engine


async def change(engine: AsyncEngine, guaranteed_life_s: int | None = None, **wanted: Any) -> SettingsChange:
    """Change settings; all of them as another session then reads them."""
    async with transaction(engine) as session:
        await service.change(session, SettingsChange(**wanted), guaranteed_life_s, NOW, actor="key_1")
    async with snapshot(engine) as session:
        return service.settings_of(await programs.current(session))


async def acts(engine: AsyncEngine) -> list[dict[str, Any]]:
    async with snapshot(engine) as session:
        rows = await session.execute(text("select detail from journal_entries where action = 'programme.changed'"))
        return [row.detail for row in rows]


@pytest.mark.parametrize(
    "activation", [Immediate(), Delayed(delay_s=60), OnDates(dates=frozenset({"07-01"})), OnEvent(latest_s=9)]
)
@pytest.mark.parametrize("before", [Delayed(delay_s=5), OnDates(dates=frozenset({"01-01"})), OnEvent(latest_s=7)])
async def test_any_activation_may_follow_any(
    programme: AsyncEngine, before: Activation, activation: Activation
) -> None:
    await change(programme, activation=before)
    assert (await change(programme, activation=activation)).activation == activation


@pytest.mark.parametrize("expiry", POLICIES)
@pytest.mark.parametrize("before", POLICIES[1:3])
async def test_any_expiry_may_follow_any(programme: AsyncEngine, before: Expiry, expiry: Expiry) -> None:
    await change(programme, expiry=before)
    assert (await change(programme, expiry=expiry)).expiry == expiry


async def test_what_changed_is_journalled_and_the_rest_stays(programme: AsyncEngine) -> None:
    settings = await change(programme, notice_days=(30, 7), name_en="New", return_policy="clamp")
    assert (settings.notice_days, settings.name_en, settings.name_fr) == ((30, 7), "New", "Mereau démo")
    await change(programme, notice_days=(30, 7))
    assert await acts(programme) == [
        {"before": {"name_en": "Mereau demo", "notice_days": []}, "after": {"name_en": "New", "notice_days": [30, 7]}}
    ]


@pytest.mark.parametrize(
    ("expiry", "pointer"),
    [
        (Rolling(amount=179), "/expiry/amount"),
        (Rolling(amount=5, unit="month"), "/expiry/amount"),
        (Rolling(amount=5, unit="month", round_to="year"), "/expiry/amount"),
        (Calendar(dates=frozenset({"01-31"})), "/expiry/days_min"),
        (Calendar(dates=frozenset({"01-31"}), days_min=179), "/expiry/days_min"),
        (Inactivity(days=1), "/expiry/days"),
    ],
)
async def test_what_the_contract_would_refuse_is_refused_now(
    programme: AsyncEngine, expiry: Expiry, pointer: str
) -> None:
    with pytest.raises(InvalidInputError, match="contract") as refusal:
        await change(programme, 180 * DAY_S, expiry=expiry, name_fr="Autre")
    assert [(found.pointer, found.code) for found in refusal.value.errors] == [(pointer, "shorter_than_guaranteed")]
    settings = await change(programme)
    assert (settings.expiry, settings.name_fr) == (Never(), "Mereau démo")
    assert await acts(programme) == []


@pytest.mark.parametrize("expiry", [Rolling(amount=180), Rolling(amount=6, unit="month"), *POLICIES])
def test_what_the_contract_carries_out_is_accepted(expiry: Expiry) -> None:
    assert list(domain.unkept(expiry, 180 * DAY_S)) == []


def test_the_longest_protection_counts_in_whole_days() -> None:
    (found,) = domain.unkept(Rolling(amount=1), DAY_S + 1)
    assert "up to 2 days" in found.detail


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


class TestOverHttp:
    async def test_a_change_is_seen_by_everybody(self, world: ApiWorld) -> None:
        expiry = {"mode": "rolling", "unit": "month", "amount": 12, "round_to": "month"}
        body = {"expiry": expiry, "activation": {"mode": "delay", "delay_s": 60}, "notice_days": [7, 30, 7]}
        changed = await world.send("operator", "PATCH", "/program", body)
        assert changed.status_code == 200, changed.text
        seen = (await world.get("member_a", "/program")).json()
        assert seen == changed.json()
        assert (seen["expiry"], seen["activation"]) == (expiry, {"mode": "delay", "delay_s": 60})
        assert (seen["notice_days"], seen["return_policy"], seen["time_zone"]) == ([30, 7], "clamp", "Europe/Paris")

    async def test_tokens_earned_afterwards_live_as_it_says(self, world: ApiWorld) -> None:
        before = (await world.get("member_a", f"/members/{world.ids['member_a']}/entries")).json()["data"]
        await world.send("operator", "PATCH", "/program", {"expiry": {"mode": "rolling", "amount": 90}})
        await world.made("partner_a", "/sales", world.a_sale())
        after = (await world.get("member_a", f"/members/{world.ids['member_a']}/entries")).json()["data"]
        assert after[1:] == before
        assert before[0]["expires_at"] is None
        assert datetime.fromisoformat(after[0]["expires_at"]) - datetime.fromisoformat(
            after[0]["activates_at"]
        ) == timedelta(days=90)

    async def test_limits_of_work_by_hand_are_seen_and_what_is_left_out_is_the_default(self, world: ApiWorld) -> None:
        default = {
            "staff_day_tokens": 5_000, "member_day_tokens": 1_000, "approval_above_tokens": 500, "request_days": 7,
        }  # fmt: skip
        assert (await world.get("auditor", "/program")).json()["adjustments"] == default
        wanted = {"staff_day_tokens": 0, "request_days": 90}
        changed = await world.send("operator", "PATCH", "/program", {"adjustments": wanted})
        assert changed.json()["adjustments"] == default | wanted
        await world.send("operator", "PATCH", "/program", {"name_en": "Other"})
        assert (await world.get("auditor", "/program")).json()["adjustments"] == default | wanted

    async def test_a_deployed_contract_is_asked_for_what_it_guarantees(self, world: ApiWorld) -> None:
        short, enough = {"mode": "rolling", "amount": 59}, {"mode": "rolling", "amount": 60}
        assert (await world.send("operator", "PATCH", "/program", {"expiry": short})).status_code == 200
        await world.deploy()
        refused = await world.send("operator", "PATCH", "/program", {"expiry": short})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "shorter_than_guaranteed")
        assert (await world.send("operator", "PATCH", "/program", {"expiry": enough})).status_code == 200

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"expiry": {"mode": "rolling", "amount": 0}}, "/expiry/amount"),
            ({"expiry": {"mode": "calendar"}}, "/expiry/dates"),
            ({"expiry": {"mode": "sometimes"}}, "/expiry"),
            ({"expiry": {}}, "/expiry"),
            ({"expiry": {"mode": "inactivity", "days": 365}}, "/expiry"),
            ({"notice_days": [0]}, "/notice_days/0"),
            ({"notice_days": [1, 2, 3, 4, 5, 6]}, "/notice_days"),
            ({"currency": "USD"}, "/currency"),
            ({"adjustments": {"staff_day_tokens": -1}}, "/adjustments/staff_day_tokens"),
            ({"adjustments": {"member_day_tokens": 2**53}}, "/adjustments/member_day_tokens"),
            ({"adjustments": {"approval_above_tokens": None}}, "/adjustments/approval_above_tokens"),
            ({"adjustments": {"request_days": 0}}, "/adjustments/request_days"),
            ({"adjustments": {"request_days": 91}}, "/adjustments/request_days"),
            ({"adjustments": {"month_tokens": 5}}, "/adjustments/month_tokens"),
            ({"return_policy": "forget"}, "/return_policy"),
        ],
    )
    async def test_what_cannot_be_is_named(self, world: ApiWorld, body: dict[str, Any], pointer: str) -> None:
        before = await world.fingerprint()
        answer = await world.send("operator", "PATCH", "/program", body)
        assert answer.status_code == 422
        assert [found["pointer"] for found in answer.json()["errors"]] == [pointer]
        assert await world.fingerprint() == before
