"""Alarms stand until they are cleared, and remember since when."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.world import START
from mereau.chain import alarms
from mereau.chain.alarms import Alarm, set_alarm
from mereau.core.db import snapshot, transaction

LATER = START + timedelta(hours=1)


async def standing(engine: AsyncEngine) -> list[Alarm]:
    async with snapshot(engine) as session:
        return await alarms.alarms(session)


async def test_an_alarm_keeps_its_beginning_while_it_stands(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        await set_alarm(session, "fee_cap", "the base fee is 90 gwei", START)
        await set_alarm(session, alarms.HEAD_AGE, "the head is 61 s old", START)
    async with transaction(engine) as session:
        await set_alarm(session, "fee_cap", "the base fee is 95 gwei", LATER)
    assert await standing(engine) == [
        Alarm("fee_cap", "the base fee is 95 gwei", START),
        Alarm("head_age", "the head is 61 s old", START),
    ]
    assert [alarm.makes_unready for alarm in await standing(engine)] == [False, True]


async def test_a_cleared_alarm_begins_anew(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        await set_alarm(session, "fee_cap", None, START)
        await set_alarm(session, "fee_cap", "dear", START)
        await set_alarm(session, "relayer_funds", "low", START)
        await set_alarm(session, "fee_cap", None, LATER)
    assert await standing(engine) == [Alarm("relayer_funds", "low", START)]
    async with transaction(engine) as session:
        await set_alarm(session, "fee_cap", "dear", LATER)
    assert await standing(engine) == [Alarm("fee_cap", "dear", LATER), Alarm("relayer_funds", "low", START)]
