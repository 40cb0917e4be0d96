"""An installation whose parts are processes, on a database and a chain of a test's own, and the exact oracle."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psycopg
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak

from factories.ledger import LedgerWorld
from faults.gate import Gate
from faults.mortal import Point, spawn
from mereau.chain.models import Deployment
from mereau.chain.rpc import RpcClient

WORKER = ("relayer", "mirror", "jobs")
DEPTH = 3
LIMIT_S = 60.0
POLL_S = 0.05
KILLED = -9

_TRANSFER = "0x" + keccak(b"Transfer(address,address,uint256)").hex()
_ZERO = "0x" + bytes(32).hex()

_EXPECTED = """
    select w.address, coalesce(sum(case e.kind when 'issue' then e.tokens else -e.tokens end), 0)::bigint as tokens
    from wallets w
    left join entries e on e.member_id = w.owner_id and not exists (
        select 1 from chain_orders o where o.id = e.id and o.state = 'rejected'
    )
    where w.owner_kind = 'member' group by w.address
"""
_OPEN = """
    select 'queued' as state from chain_orders where state = 'queued'
    union all select state from chain_batches where state in ('sealed', 'submitted', 'mined')
"""
_AGE = (
    "update chain_transactions set created_at = created_at - :gone",
    "update chain_attempts set created_at = created_at - :gone, broadcast_at = broadcast_at - :gone",
    "update chain_mirror set checked_at = checked_at - :gone",
)


@dataclass
class Stage:
    """`rpc` speaks to the node directly, the parts through `gate`. Processes die with the stage."""

    ledger: LedgerWorld
    rpc: RpcClient
    gate: Gate
    deployment: Deployment
    home: Path
    log: Path
    database_url: str
    processes: list[ForkServerProcess] = field(default_factory=list)

    def environment(self, **changes: str) -> dict[str, str]:
        """What `mereau PART` would find in its environment."""
        return {
            "MEREAU_DATA_DIR": str(self.home),
            "MEREAU_DATABASE_URL": self.database_url,
            "MEREAU_CHAIN_URL": self.gate.url,
            "MEREAU_KEYSTORE_PASSWORD_FILE": str(self.home / "keystore.password"),
            "MEREAU_FINALITY": "depth",
            "MEREAU_FINALITY_DEPTH_BLOCKS": str(DEPTH),
            "MEREAU_SEAL_DELAY_S": "0.05",
            **changes,
        }

    def start(self, *parts: str, point: Point | None = None, **changes: str) -> ForkServerProcess:
        process = spawn(parts or WORKER, self.environment(**changes), self.log, point)
        self.processes.append(process)
        return process

    async def mine(self, blocks: int = 1) -> None:
        await self.rpc.call("anvil_mine", hex(blocks))

    async def age(self, seconds: float) -> None:
        """As if the parts had been down for so long: what the tables tell of the time moves back."""
        for statement in _AGE:
            await self.ledger.write(statement, gone=timedelta(seconds=seconds))

    async def died(self, process: ForkServerProcess, *, mining: bool = True) -> None:
        """Wait for a SIGKILL at the point; a process that lives on, or ends in another way, fails the test."""

        async def ended() -> bool:
            if mining:
                await self.mine()
            return process.exitcode is not None

        await self.until(ended, "the death of the process")
        assert process.exitcode == KILLED, self.words()

    async def settled(self, process: ForkServerProcess | None = None) -> None:
        """Mine until no order and no batch is open any more, or until `process` has ended."""

        async def done() -> bool:
            await self.mine()
            return not await self.ledger.rows(_OPEN) or (process is not None and process.exitcode is not None)

        await self.until(done, "the end of all work")

    async def caught_up(self) -> None:
        """Until the mirror stands at the node's head, or has frozen."""

        async def done() -> bool:
            head = int(await self.rpc.call("eth_blockNumber"), 16)
            states = await self.ledger.rows("select head_number, frozen_reason from chain_mirror")
            return any(state.head_number == head or state.frozen_reason is not None for state in states)

        await self.until(done, "a mirror at the head")

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not await condition():
            assert time.monotonic() < deadline, f"{what} did not come to be:\n{self.words()}"
            await asyncio.sleep(POLL_S)

    @asynccontextmanager
    async def working(self, **changes: str) -> AsyncIterator[None]:
        """A worker without any point, for the length of the block; told to stop at the end."""
        ready = self.log.with_name(f"ready-{len(self.processes)}")
        process = self.start(*WORKER, "--ready-file", str(ready), **changes)

        async def started() -> bool:
            return ready.exists()

        await self.until(started, "a worker")
        yield
        await self.stopped(process)

    async def finished(self) -> None:
        """A worker does what is left to do; the mirror stands at the head afterwards."""
        async with self.working():
            await self.settled()
            await self.caught_up()

    async def ended(self, process: ForkServerProcess) -> None:
        async def gone() -> bool:
            return process.exitcode is not None

        await self.until(gone, "the end of the process")

    async def stopped(self, process: ForkServerProcess, *codes: int) -> None:
        """Tell a process to stop; it must end with 0, or with one of `codes`."""
        process.terminate()
        await self.ended(process)
        assert process.exitcode in {0, *codes}, self.words()

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """Break every connection to the database and refuse new ones, for the length of the block."""
        server, _, name = self.database_url.partition("?")[0].rpartition("/")
        url = self.database_url.replace(f"{server}/{name}?", f"{server}/postgres?")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"alter database {name} allow_connections false")
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
            yield
            connection.execute(f"alter database {name} allow_connections true")

    def words(self) -> str:
        return self.log.read_text(errors="replace")[-6_000:] if self.log.exists() else ""

    async def at_head(self, address: bytes) -> int:
        """The contract's own word: `balanceOf` at the newest block."""
        data = keccak(b"balanceOf(address)")[:4] + abi_encode(["address"], [address])
        return int(await self.rpc.call("eth_call", {"to": self.deployment.contract, "data": data}, "latest"), 16)

    async def supply(self) -> int:
        call = {"to": self.deployment.contract, "data": keccak(b"totalSupply()")[:4]}
        return int(await self.rpc.call("eth_call", call, "latest"), 16)

    async def minted(self) -> list[int]:
        """The amounts of all credits that the chain holds."""
        query = {
            "address": self.deployment.contract, "fromBlock": "0x0", "toBlock": "latest", "topics": [_TRANSFER, _ZERO],
        }  # fmt: skip
        return [int(log["data"], 16) for log in await self.rpc.call("eth_getLogs", query)]

    async def assert_exact(self, *, bumped: bool = False) -> None:
        """Nothing lost, nothing doubled: tables, mirror and chain tell the same of every member.

        Credits are compared one by one and not by their sums, so that two errors cannot cancel out. What went
        to the node are the bytes that were stored before; a nonce has other bytes only where fees were `bumped`.
        """
        expected = {row.address: row.tokens for row in await self.ledger.rows(_EXPECTED)}
        assert {address: await self.at_head(address) for address in expected} == expected
        mirrored = {row.wallet: row.tokens for row in await self.ledger.rows("select * from chain_balances")}
        assert {address: mirrored.get(address, 0) for address in expected} == expected
        assert await self.supply() == sum(expected.values())
        credits_ = await self.ledger.rows(
            "select tokens from entries e where kind = 'issue'"
            " and not exists (select 1 from chain_orders o where o.id = e.id and o.state = 'rejected')"
        )
        assert sorted(await self.minted()) == sorted(row.tokens for row in credits_)
        assert await self.ledger.drift() == 0
        attempts = await self.ledger.rows("select transaction_id, raw from chain_attempts")
        assert set(self.gate.sent) <= {row.raw for row in attempts}
        if not bumped:
            assert len({row.transaction_id for row in attempts}) == len(attempts)

    async def executed(self, *entry_ids: str) -> None:
        """Each of these entries is in exactly one final batch."""
        rows = await self.ledger.rows(
            "select o.id, b.state from chain_orders o join chain_batches b on b.id = o.batch_id where o.id = any(:ids)",
            ids=list(entry_ids),
        )
        assert {row.id: row.state for row in rows} == dict.fromkeys(entry_ids, "final")


@asynccontextmanager
async def ending(stage: Stage) -> AsyncIterator[Stage]:
    """Whatever happened, no process of the stage is left."""
    try:
        yield stage
    finally:
        for process in stage.processes:
            process.kill()
            process.join()
            process.close()
