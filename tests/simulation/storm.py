"""A storm of mixed actions over a whole installation, drawn from a seed; every action is one that really happens."""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

from factories.ledger import START
from fixtures.hostile import FAULTS, Caps, Exchange, Fault
from fixtures.proxy import Reply
from mereau.chain.errors import RpcError
from mereau.core.clock import ManualClock
from mereau.core.errors import ConfigurationError, UnavailableError
from mereau.ledger.tasks import activate_due
from simulation.arena import BLOCK_S, GWEI, Arena
from simulation.breaks import BREAKS, Breaker, Crashed
from simulation.cast import MirrorProcess, RelayerProcess, SkewedClock
from simulation.clients import Clients
from simulation.hands import Hands

PASSING = (UnavailableError, RpcError, DBAPIError, psycopg.Error)
"""What a process survives and tries again."""

SKEW_MAX = timedelta(hours=1)
_RELAYER_WRITES = ("seal", "sign", "sign", "broadcast", "broadcast", "bump", "close", "reject", "release", "supersede")
_MIRROR_WRITES = ("apply", "apply", "finalise", "undo", "touch")
_VICTIMS = {
    "lease holders": "pid in (select pid from pg_locks where locktype = 'advisory' and granted)",
    "all but lease holders": "pid not in (select pid from pg_locks where locktype = 'advisory' and granted)",
    "all": "true",
}
_END_BACKENDS = """
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' and {}
"""

Process = RelayerProcess | MirrorProcess
P = TypeVar("P", RelayerProcess, MirrorProcess)
Action = Callable[[], Awaitable[str]]


class Storm:
    """The installation of one seed and what befalls it. `log` takes what the processes say meanwhile."""

    def __init__(
        self,
        arena: Arena,
        chance: random.Random,
        hands: Hands,
        breaker: Breaker,
        log: list[str],
    ) -> None:
        self.history: list[str] = []
        self.clock = ManualClock(START)
        self.clients = Clients(arena, chance)
        self.relayers = [RelayerProcess(name, arena, self.clock) for name in "AB"]
        self.mirrors = [MirrorProcess(name, arena, self.clock) for name in "AB"]
        self.hands = hands
        self.log = log
        self._arena = arena
        self._chance = chance
        self._proxy = arena.proxy
        self._breaker = breaker
        self._api = SkewedClock(self.clock)
        self._lag_blocks, self._caps = 0, Caps()
        self._busy: set[Process] = set()
        self._weights = self._drawn_weights()
        self._rpc_faults = chance.sample(sorted(FAULTS), chance.randint(0, 6))

    @property
    def api_now(self) -> datetime:
        return self._api.now()

    async def rage(self, actions: int) -> None:
        for _ in range(actions):
            (action,) = self._chance.choices(list(self._weights), list(self._weights.values()))
            await self.perform(action)
            self.clock.advance(timedelta(seconds=self._chance.choice((0, 0, 1, BLOCK_S, 2 * BLOCK_S))))

    async def perform(self, action: Action) -> None:
        """Do it and note what came of it."""
        place, outcome = len(self.history), "did not end"
        self.history.append("")
        try:
            outcome = await action()
        finally:
            said = "".join(f"; {line}" for line in self.log)
            self.log.clear()
            self.history[place] = f"{place:03} {action.__name__.strip('_')}: {outcome}{said}"

    async def calm(self) -> None:
        """All faults end: of the wire, of clocks, of prices. What was asked for is asked for again."""
        self._proxy.calm()
        for clock in self._clocks():
            clock.skew = timedelta()
        await self.hands.price(GWEI)
        await self.perform(self._ask_again_all)

    async def close(self) -> None:
        for relayer in self.relayers:
            await relayer.close()

    def _drawn_weights(self) -> dict[Action, int]:
        """Each seed knows some hazards and not others: rare ones meet more often when they are few."""
        hazards: list[Action] = [
            self.withdraw, self.ask_twice_at_once, self.ask_and_break, self.break_relayer, self.break_mirror,
            self.interrupt_relayer, self.interrupt_mirror, self.take_over, self.end_backends, self.drop, self.spike,
            self.reorganise, self.roll_back, self.spend_nonce, self.skew, self.lag, self.cap,
        ]  # fmt: skip
        weights: dict[Action, int] = {self.ask: 8, self.relay: 9, self.mine: 7, self.mirror: 7, self.activate: 1}
        return weights | {one: self._chance.randint(1, 4) for one in hazards if self._chance.random() < 0.5}

    # Clients.

    async def ask(self) -> str:
        known = [*self.clients.accepted.values(), *self.clients.unsure.values()]
        if known and self._chance.random() < 0.2:
            wishes = [self._chance.choice(known)]
        else:
            wishes = [self.clients.wish() for _ in range(self._chance.randint(1, 4))]
        return f"{' '.join(one.id for one in wishes)} {await self.clients.ask(wishes, self.api_now)}"

    async def ask_twice_at_once(self) -> str:
        return await self.clients.ask_at_once(self.clients.wish(), self.api_now)

    async def ask_and_break(self) -> str:
        stroke = self._chance.choice(BREAKS)
        self._breaker.arm("accept", stroke)
        try:
            outcome = await self.ask()
        except Crashed:
            outcome = "crashed"
        return f"{stroke}{self._struck()}: {outcome}"

    async def withdraw(self) -> str:
        return await self.clients.withdraw(self.api_now)

    async def _ask_again_all(self) -> str:
        return " ".join([await self.clients.ask([one], self.api_now) for one in [*self.clients.unsure.values()]])

    # Processes.

    async def relay(self) -> str:
        return await self._pass(self._chance.choice((0, 0, 1)))

    async def mirror(self) -> str:
        return await self._follow(self._chance.choice((0, 0, 1)))

    async def activate(self) -> str:
        return f"{await activate_due(self._arena.engine, self.api_now)} due"

    async def break_relayer(self) -> str:
        write, stroke = self._chance.choice(_RELAYER_WRITES), self._chance.choice(BREAKS)
        self._breaker.arm(write, stroke)
        outcome = await self._pass(0)
        return f"{stroke} {write}{self._struck()}: {outcome}"

    async def break_mirror(self) -> str:
        write, stroke = self._chance.choice(_MIRROR_WRITES), self._chance.choice(BREAKS)
        self._breaker.arm(write, stroke)
        outcome = await self._follow(0)
        return f"{stroke} {write}{self._struck()}: {outcome}"

    async def interrupt_relayer(self) -> str:
        """Something happens while an exchange of the relayer is under way, which stands still meanwhile."""
        number = self._chance.randrange(2)
        other: list[Action] = [self.take_over, self.mirror, self.mine, self.reorganise, self.ask, self.drop]
        return await self._interrupted(lambda: self._pass(number, honest=True), other)

    async def interrupt_mirror(self) -> str:
        other: list[Action] = [self.mirror, self.mine, self.reorganise, self.roll_back, self.ask]
        return await self._interrupted(lambda: self._follow(0, honest=True), other)

    async def take_over(self) -> str:
        """The lease holder's connection breaks unseen, and the other one takes the lease."""
        holders = await self._end("lease holders")
        return f"{holders} lost the lease: {await self._pass(self._chance.randrange(2), honest=True)}"

    async def end_backends(self) -> str:
        victims = self._chance.choice(list(_VICTIMS))
        await self._end(victims)
        return victims

    async def skew(self) -> str:
        clocks = self._clocks()
        place, sign = self._chance.randrange(len(clocks)), self._chance.choice((-1, 0, 0, 1))
        clocks[place].skew = sign * SKEW_MAX
        return f"clock {place} is {clocks[place].skew} ahead"

    # Chain and node.

    async def mine(self) -> str:
        blocks = self._chance.choice((1, 1, 1, 2, 3))
        await self.hands.mine(blocks)
        return str(blocks)

    async def drop(self) -> str:
        return await self.hands.drop(self._chance)

    async def spike(self) -> str:
        fee = self._chance.choice((GWEI, 100 * GWEI, 100 * GWEI))
        await self.hands.price(fee)
        return f"{fee // GWEI} gwei"

    async def reorganise(self) -> str:
        return await self.hands.reorganise(self._chance)

    async def roll_back(self) -> str:
        return await self.hands.roll_back(self._chance)

    async def spend_nonce(self) -> str:
        return await self.hands.spend_nonce(self._chance)

    async def lag(self) -> str:
        self._lag_blocks = self._chance.choice((0, 1, 2, 3))
        return f"{self._lag_blocks} blocks behind"

    async def cap(self) -> str:
        self._caps = self._chance.choice((Caps(), Caps(batch_max=4), Caps(response_bytes_max=4_000)))
        return str(self._caps)

    # Means.

    def _clocks(self) -> list[SkewedClock]:
        return [self._api, *(one.clock for one in self.relayers), *(one.clock for one in self.mirrors)]

    async def _pass(self, number: int, *, honest: bool = False) -> str:
        return await self._spoiled(self._idle(self.relayers, number), honest=honest)

    async def _follow(self, number: int, *, honest: bool = False) -> str:
        return await self._spoiled(self._idle(self.mirrors, number), honest=honest)

    def _idle(self, processes: Sequence[P], number: int) -> P:
        """This one, or its twin while it stands still in the middle of a step."""
        return processes[1 - number] if processes[number] in self._busy else processes[number]

    async def _spoiled(self, process: Process, *, honest: bool) -> str:
        """A process's step on a wire that may be bad, with its death where it dies."""
        before = len(self._proxy.suffered)
        if not honest:
            rate = self._chance.choice((0, 0, 0.1, 0.4))
            self._proxy.storm(dict.fromkeys(self._rpc_faults, rate), self._chance.getrandbits(32))
            self._proxy.lag_blocks, self._proxy.caps = self._lag_blocks, self._caps
        self._busy.add(process)
        try:
            outcome = await process.live()
        except Crashed:
            outcome = "crashed"
            await process.die()
        except ConfigurationError:
            # To a lie about the genesis block no process has an answer but to end; its supervisor starts it again.
            outcome = "gave up"
            await process.die()
        except PASSING as error:
            outcome = type(error).__name__
        self._busy.discard(process)
        if not honest:
            self._proxy.calm()
        suffered = self._proxy.suffered[before:]
        return f"{process.name} {outcome}" + (f" (suffered {', '.join(suffered)})" if suffered else "")

    async def _interrupted(self, step: Action, others: list[Action]) -> str:
        other, late = self._chance.choice(others), self._chance.random() < 0.5

        async def meanwhile(exchange: Exchange) -> Reply:
            if late:
                answers = await exchange.ask()
                await self.perform(other)
                return exchange.answered(answers)
            await self.perform(other)
            return exchange.answered(await exchange.ask())

        self._proxy.plan(Fault(other.__name__, meanwhile), skip=self._chance.randrange(8))
        outcome = await step()
        self._proxy.calm()
        return outcome

    def _struck(self) -> str:
        return "" if self._breaker.disarm() else " (never came)"

    async def _end(self, victims: str) -> int:
        async with await psycopg.AsyncConnection.connect(self._arena.database_url, autocommit=True) as connection:
            cursor = await connection.execute(_END_BACKENDS.format(_VICTIMS[victims]).encode())
            return cursor.rowcount
