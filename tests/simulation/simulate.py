"""One seed from its beginning to the oracle's verdict."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from unittest.mock import patch

import structlog
from structlog.typing import EventDict, WrappedLogger

from fixtures.spellings import SPELLINGS
from mereau.ledger.tasks import activate_due
from simulation import oracle
from simulation.arena import BLOCK_S, Arena
from simulation.breaks import Breaker
from simulation.hands import Hands
from simulation.storm import PASSING, SKEW_MAX, Storm

ACTIONS = 36
CALM_S = 60
"""Simulated seconds within which every operation must come to its end once the faults have stopped."""

_ROUND_BLOCKS = 2
_REAL_S_MAX = 120


@dataclass
class Outcome:
    """What a seed did, line by line, and what was found wrong. `digest` names its history."""

    seed: int
    history: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    operations: int = 0
    calm_s: int = 0

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.history).encode()).hexdigest()[:16]

    def report(self) -> str:
        """The violations, and the history that led to them."""
        found = [f"seed {self.seed} ({self.digest}): {violation}" for violation in self.violations]
        return "\n".join([*found, *(f"    {line}" for line in self.history)])


async def run_seed(arena: Arena, seed: int, *, actions: int = ACTIONS) -> Outcome:
    """Play one seed. What raises is a violation as well."""
    outcome = Outcome(seed)
    entropy = random.Random(f"{seed} entropy")
    with patch("secrets.randbits", entropy.getrandbits), patch("secrets.token_bytes", entropy.randbytes):
        try:
            async with asyncio.timeout(_REAL_S_MAX), _opened_storm(arena, outcome) as storm:
                await storm.rage(actions)
                await calm_down(arena, storm, outcome)
                outcome.violations += [found async for found in oracle.violations(arena, storm.clients)]
                outcome.operations = len(storm.clients.accepted)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this seed
            outcome.violations.append(f"{type(error).__name__}: {error}")
    return outcome


@asynccontextmanager
async def _opened_storm(arena: Arena, outcome: Outcome) -> AsyncIterator[Storm]:
    head = await arena.restore()
    chance, breaker, log = random.Random(f"{outcome.seed} actions"), Breaker(), list[str]()
    arena.proxy.family = chance.choice(sorted(SPELLINGS))
    storm = Storm(arena, chance, Hands(arena, head), breaker, log)
    outcome.history = storm.history
    with breaker.listening(), _collecting(log):
        try:
            yield storm
        finally:
            await storm.close()


async def calm_down(arena: Arena, storm: Storm, outcome: Outcome) -> None:
    """No more faults: relayers, blocks and mirrors in turn, until nothing is open."""
    await storm.calm()
    while outcome.calm_s < CALM_S:
        first, outcome.calm_s = outcome.calm_s == 0, outcome.calm_s + _ROUND_BLOCKS * BLOCK_S
        storm.clock.advance(timedelta(seconds=_ROUND_BLOCKS * BLOCK_S))
        # What a clock accepted that was an hour ahead is due by that clock.
        await activate_due(arena.engine, storm.api_now + SKEW_MAX)
        for relayer in storm.relayers:
            # The first pass may still find what the last fault left: dead connections, a lease that is gone.
            await (relayer.live() if first else relayer.step())
        await storm.hands.mine(_ROUND_BLOCKS)
        mirror = storm.mirrors[first]
        try:
            await mirror.live()
        except PASSING:
            if not first:
                raise
        if not await oracle.unsettled(arena):
            return
    outcome.violations += [f"open after {CALM_S} s: {line}" for line in await oracle.unsettled(arena)]


@contextmanager
def _collecting(lines: list[str]) -> Iterator[None]:
    """What the processes log goes into the history instead of the terminal."""

    def collect(logger: WrappedLogger, level: str, said: EventDict) -> EventDict:
        reason = said.get("reason") or said.get("error") or ""
        lines.append(f"{said['event']} {reason}".strip())
        raise structlog.DropEvent

    structlog.configure(processors=[collect])
    try:
        yield
    finally:
        structlog.reset_defaults()
