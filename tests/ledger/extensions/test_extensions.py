"""More time for tokens: an entry with a reason, off chain, that shortens nothing and moves nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from factories.ledger import LedgerWorld
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, InvalidInputError, NotFoundError
from mereau.ledger import domain, tasks
from mereau.ledger.aging import service as aging
from mereau.ledger.extensions import service
from mereau.ledger.extensions.service import Extended
from mereau.ledger.trail.repository import disclosed_records

DAY = timedelta(days=1)


async def extend(world: LedgerWorld, until: datetime, member: int = 0) -> Extended:
    async with transaction(world.engine) as session:
        return await service.extend(session, world.members[member], until, "goodwill", world.now, actor="key_1")


async def lets_everything(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
    return dict.fromkeys(wallets, 10**9)


async def test_tokens_live_until_then_and_no_longer(world: LedgerWorld) -> None:
    entry_id = await world.credit(100, life=10 * DAY)
    until = world.now + 40 * DAY
    extended = await extend(world, until)
    assert (extended.lots, extended.tokens, extended.until) == (1, 100, until)
    assert (await world.lot(entry_id)).expires_at == until
    world.now += 39 * DAY
    assert await tasks.expire_due(world.engine, world.now, lets_everything) == 0
    world.now += DAY
    assert await tasks.expire_due(world.engine, world.now, lets_everything) == 100


async def test_it_stands_in_the_statement_and_in_the_journal_and_not_on_chain(world: LedgerWorld) -> None:
    await world.credit(100, life=10 * DAY)
    before, queued = await world.counters(), await world.queued()
    extended = await extend(world, world.now + 40 * DAY)
    assert await world.statuses(extended.entry_id) == ["final"]
    (entry,) = await world.rows("select kind, tokens, reason_code from entries where id = :id", id=extended.entry_id)
    assert tuple(entry) == ("extend", 100, "goodwill")
    (act,) = await world.rows("select actor, subject_id from journal_entries where action = 'lots.extended'")
    assert tuple(act) == ("key_1", extended.entry_id)
    assert (await world.counters(), await world.queued()) == (before, queued)
    assert await world.drift() == 0


async def test_no_lot_is_shortened(world: LedgerWorld) -> None:
    longer, forever = await world.credit(10, life=90 * DAY), await world.credit(20)
    pending = await world.credit(30, delay=DAY, life=DAY)
    short = await world.credit(40, life=DAY)
    before = [(await world.lot(entry_id)).expires_at for entry_id in (longer, forever, pending)]
    assert (await extend(world, world.now + 30 * DAY)).tokens == 40
    assert [(await world.lot(entry_id)).expires_at for entry_id in (longer, forever, pending)] == before
    assert (await world.lot(short)).expires_at == world.now + 30 * DAY


async def test_tokens_that_come_back_from_a_redemption_have_the_time_as_well(world: LedgerWorld) -> None:
    entry_id = await world.credit(100, life=10 * DAY)
    hold = await world.hold(100)
    assert (await extend(world, world.now + 40 * DAY)).tokens == 100
    await world.void(hold)
    assert (await world.lot(entry_id)).expires_at == world.now + 40 * DAY
    assert await world.counters() == (100, 0, 0, 0)


async def test_the_public_record_keeps_the_date_of_issue(world: LedgerWorld) -> None:
    """What the trail discloses still fits the commitment that went on chain, however often a lot was extended."""
    entry_id = await world.credit(100, life=10 * DAY)
    first = (await world.lot(entry_id)).expires_at
    await extend(world, world.now + 40 * DAY)
    await extend(world, world.now + 80 * DAY)
    async with snapshot(world.engine) as session:
        disclosed = (await disclosed_records(session, [entry_id]))[entry_id]
    assert disclosed.record is not None
    assert disclosed.salt is not None
    assert disclosed.record["expires_at"] == domain.instant_text(first)
    record = domain._CANONICAL.encode(disclosed.record).encode()
    assert (await world.orders())[entry_id].commitment == domain.commitment(disclosed.salt, record)


@pytest.mark.parametrize("ahead", [timedelta(), -DAY, timedelta(days=3_661)])
async def test_an_instant_that_makes_no_sense_is_named(world: LedgerWorld, ahead: timedelta) -> None:
    await world.credit(100, life=10 * DAY)
    with pytest.raises(InvalidInputError) as refusal:
        await extend(world, world.now + ahead)
    assert [found.pointer for found in refusal.value.errors] == ["/until"]


async def test_where_nothing_expires_before_nothing_is_written(world: LedgerWorld) -> None:
    await world.credit(100, life=50 * DAY)
    with pytest.raises(ConflictError):
        await extend(world, world.now + 40 * DAY)
    async with transaction(world.engine) as session:
        with pytest.raises(NotFoundError):
            await service.extend(session, "mem_x", world.now + DAY, "goodwill", world.now, actor="key_1")
    assert await world.rows("select 1 from entries where kind = 'extend'") == []


async def test_of_two_at_once_one_finds_nothing_left_to_do(world: LedgerWorld) -> None:
    await world.credit(100, life=10 * DAY)
    until = world.now + 40 * DAY
    outcomes = await asyncio.gather(extend(world, until), extend(world, until), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError", "Extended"]


async def test_what_was_extended_while_it_was_about_to_expire_lives(world: LedgerWorld) -> None:
    await world.credit(100, life=DAY)
    world.now += DAY
    async with snapshot(world.engine) as session:
        due = await aging.find_due(session, world.now, tasks._START, 10, lets_everything)
    assert due is not None
    await extend(world, world.now + DAY)
    async with transaction(world.engine) as session:
        assert await aging.expire(session, due, world.now) == 0
    assert await world.counters() == (100, 0, 0, 0)
