"""The chain over HTTP on loopback: one mining thread, reading threads beside it, one ASGI app."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from mereau.chain.embedded.chain import ChainConfig, EmbeddedChain
from mereau.chain.embedded.rpc import Answer, Lanes, Work, respond
from mereau.chain.embedded.store import ChainStore

BODY_SIZE_MAX = 5 * 1024 * 1024
READERS = 2

_LOG = structlog.get_logger()
_ROUND_MAX = 256
# A reader waits this long for the interpreter while a big transaction runs; the default is five times that.
_SWITCH_INTERVAL_S = 0.001
_STOP_TIMEOUT_S = 60
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_ANY_HOST = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not chosen

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Miner:
    """Collects the transactions that arrive while a block executes, and mines them together in the next."""

    def __init__(self, chain: EmbeddedChain, thread: ThreadPoolExecutor) -> None:
        self._chain = chain
        self._thread = thread
        self._inbox: list[tuple[bytes, asyncio.Future[bytes]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, raw: bytes) -> bytes:
        """The hash, once the transaction is on disk. Raises the chain's refusal."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._inbox.append((raw, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._mine())
        return await future

    async def _mine(self) -> None:
        loop = asyncio.get_running_loop()
        while self._inbox:
            await asyncio.sleep(self._chain.pacing_delay_s())
            taken, self._inbox = self._inbox[:_ROUND_MAX], self._inbox[_ROUND_MAX:]
            try:
                answers: Sequence[bytes | BaseException] = await loop.run_in_executor(
                    self._thread, self._chain.submit, [raw for raw, _ in taken]
                )
            except Exception as error:  # noqa: BLE001 - every waiting request hears of it
                answers = [error] * len(taken)
            for (_, future), answer in zip(taken, answers, strict=True):
                if future.cancelled():
                    continue
                if isinstance(answer, BaseException):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)


def create_app(chain: EmbeddedChain, *, host: str = "127.0.0.1") -> App:
    """The JSON-RPC application. It owns its threads, not the store: close that after the app stopped.

    Served on a loopback or named `host`, it answers only requests addressed to that name: a page whose own
    name resolves here (DNS rebinding) is refused.
    """
    names = None if host in _ANY_HOST else _LOCAL_HOSTS | {host}
    mining = ThreadPoolExecutor(1, thread_name_prefix="chain-mining")
    reading = ThreadPoolExecutor(READERS, thread_name_prefix="chain-reading")
    miner = _Miner(chain, mining)

    async def read(work: Work) -> list[Answer]:
        return await asyncio.get_running_loop().run_in_executor(reading, work)

    async def execute(work: Work) -> list[Answer]:
        return await asyncio.get_running_loop().run_in_executor(mining, work)

    lanes = Lanes(read, execute, miner.submit)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, (mining, reading))
        elif scope["type"] == "http":
            try:
                answer = await respond(chain, lanes, await _body(scope, receive, names))
                await _send(send, 200 if answer else 204, answer)
            except _RefusedError as refusal:
                await _send(send, refusal.status, b"")

    return app


async def _lifespan(receive: Receive, send: Send, threads: Sequence[ThreadPoolExecutor]) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            for thread in threads:
                thread.shutdown(wait=True)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _body(scope: Scope, receive: Receive, names: frozenset[str] | None) -> bytes:
    """The request's body. Refuses what a page in a browser could send here behind its user's back."""
    if scope["method"] != "POST":
        raise _RefusedError(405)
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != b"application/json":
        raise _RefusedError(415)
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if names is not None and name not in names:
        raise _RefusedError(403)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _RefusedError(400)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > BODY_SIZE_MAX:
            raise _RefusedError(413)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, chain: EmbeddedChain) -> None:
        super().__init__(config)
        self._chain = chain

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises a caught signal again at its end, which would kill the process with the store open.
        kept = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                head = self._chain.head.header
                _LOG.info(
                    "chain_ready",
                    url=f"http://{host}:{port}",
                    chain_id=self._chain.config.chain_id,
                    block_number=head.number,
                )


def serve(
    data_dir: Path,
    *,
    host: str = "127.0.0.1",
    port: int,
    chain_id: int,
    funded: Sequence[str],
    development: bool = False,
) -> None:
    """Serve the chain in `data_dir` until SIGTERM or SIGINT; creates it at the first start.

    `funded` are 0x addresses that genesis gives 10^24 wei each. Port 0 takes a free one, named in the log
    line `chain_ready`. `development` enables evm_increaseTime and evm_mine. Raises StoreMismatchError when
    the directory holds another chain, StoreLockedError when another process serves it.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    addresses = tuple(bytes.fromhex(address.removeprefix("0x")) for address in funded)
    with closing(ChainStore(data_dir)) as store:
        chain = EmbeddedChain(store, ChainConfig(chain_id=chain_id, funded=addresses, development=development))
        config = uvicorn.Config(
            create_app(chain, host=host),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_STOP_TIMEOUT_S,
        )
        _Server(config, chain).run()
