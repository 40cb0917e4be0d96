"""Two relayers and a pause: a process that slept through its own replacement changes nothing any more."""

import os
import signal

import pytest

from faults.mortal import Moment
from faults.scenes import sell
from faults.stage import Stage
from mereau.core.activity import LEASES_LOCK

pytestmark = pytest.mark.node

_HOLDER = (
    "select activity.pid from pg_locks as lock join pg_stat_activity as activity on activity.pid = lock.pid"
    " where lock.locktype = 'advisory' and lock.classid = :lock and activity.datname = current_database()"
)


async def epoch(stage: Stage) -> int:
    rows = await stage.ledger.rows("select epoch from chain_leases where name = 'relayer'")
    return max((row.epoch for row in rows), default=0)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_sender_that_was_paused_is_fenced_out(stage: Stage, moment: Moment) -> None:
    """Stopped in the middle of a broadcast, as a hypervisor does; its connection is given up meanwhile."""
    await sell(stage)
    sleeper = stage.start("relayer")
    stage.gate.on_send(moment, lambda: sleeper.pid or 0, signal.SIGSTOP)
    await stage.until(lambda: hit(stage), "a paused sender")
    before = await epoch(stage)
    async with stage.working():
        # PostgreSQL gives a silent owner up by itself after some seconds; the test need not wait for that.
        await stage.ledger.rows(f"select pg_terminate_backend(pid) from ({_HOLDER}) as holder", lock=LEASES_LOCK)
        await stage.until(lambda: reaches(stage, before + 1), "a successor")
        await stage.settled()
        os.kill(sleeper.pid or 0, signal.SIGCONT)
        await sell(stage)
        await stage.settled()
        await stage.caught_up()
    await stage.stopped(sleeper)
    await stage.assert_exact()


async def reaches(stage: Stage, number: int) -> bool:
    return await epoch(stage) == number


async def hit(stage: Stage) -> bool:
    return not stage.gate.waiting


async def test_two_workers_share_one_stream_of_work(stage: Stage) -> None:
    """Each active where the other stands by, or in everything: the totals cannot tell."""
    async with stage.working(), stage.working():
        for _ in range(3):
            await sell(stage)
            await stage.settled()
        await stage.caught_up()
    await stage.assert_exact()
    assert await epoch(stage) >= 1
