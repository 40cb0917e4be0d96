"""The processes of an installation, each with a clock that may be wrong: two relayers and two mirrors."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mereau.chain.broadcasting import BroadcastPolicy
from mereau.chain.delta import MirrorDelta
from mereau.chain.fees import FeePolicy
from mereau.chain.finality import Finality
from mereau.chain.mirror import Mirror
from mereau.chain.relayer import Relayer, RelayerPolicy
from mereau.chain.sealer import RejectedOrder
from mereau.chain.sealing import Limits
from mereau.core.clock import ManualClock
from mereau.core.db import WriteSession
from mereau.ledger import service as ledger
from simulation.arena import FINALITY_DEPTH, GWEI, Arena

FEE_MAX_WEI = 50 * GWEI
_POLICY = RelayerPolicy(
    seal_delay_s=0,
    limits=Limits(orders_max=4),
    broadcast=BroadcastPolicy(rebroadcast_delay_s=6, bump_delay_s=12, fees=FeePolicy(fee_max_wei=FEE_MAX_WEI)),
)


@dataclass
class SkewedClock:
    """The time as one machine has it."""

    true: ManualClock
    skew: timedelta = timedelta()

    def now(self) -> datetime:
        return self.true.now() + self.skew


class OnePass(asyncio.Event):
    """Lets `run` make one pass with all that it does about faults, and end."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = False

    def is_set(self) -> bool:
        begun, self._begun = self._begun, True
        return begun

    async def wait(self) -> Literal[True]:
        return True


class RelayerProcess:
    """A relayer that can die and be started again."""

    def __init__(self, name: str, arena: Arena, clock: ManualClock) -> None:
        self.name = name
        self.clock = SkewedClock(clock)
        self._arena = arena
        self._relayer = self._started()

    async def live(self) -> str:
        """One pass as the process makes it: faults are logged and survived."""
        await self._relayer.run(OnePass())
        return "passed"

    async def step(self) -> None:
        """One pass that must not fail."""
        await self._relayer.step()

    async def die(self) -> None:
        """The operating system closes its connections; a new process starts with an empty memory."""
        await self._relayer.close()
        self._relayer = self._started()

    async def close(self) -> None:
        await self._relayer.close()

    def _started(self) -> Relayer:
        roles = self._arena.roles
        return Relayer(
            self._arena.engine,
            self._arena.wire,
            self._arena.signer,
            self.clock,
            relayer_address=roles["relayer"],
            expirer_address=roles["expirer"],
            policy=_POLICY,
            on_rejected=self._rejected,
        )

    async def _rejected(self, session: WriteSession, rejected: Sequence[RejectedOrder]) -> None:
        await ledger.on_rejected(session, rejected, self.clock.now())


class MirrorProcess:
    """A mirror that can die and be started again."""

    def __init__(self, name: str, arena: Arena, clock: ManualClock) -> None:
        self.name = name
        self.clock = SkewedClock(clock)
        self._arena = arena
        self._mirror = self._started()

    async def live(self) -> str:
        """One step; its outcome. Raises as the mirror does."""
        progress = await self._mirror.step()
        return f"{progress.outcome} to {progress.head_number}, {progress.events} events, {progress.rewound} rewound"

    async def die(self) -> None:
        self._mirror = self._started()

    def _started(self) -> Mirror:
        return Mirror(
            self._arena.engine,
            self._arena.wire,
            self._arena.deployment,
            self.clock,
            finality=Finality.by_depth(FINALITY_DEPTH),
            on_progress=self._progressed,
        )

    async def _progressed(self, session: WriteSession, delta: MirrorDelta) -> None:
        if not delta.is_empty:
            await ledger.settle(session, delta, self.clock.now())
