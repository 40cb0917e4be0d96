"""The application by itself, where faults can be injected: a full disk, a broken read, a caller that left."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from chain.embedded.support import CHAIN_ID, STRANGER, account, sign
from mereau.chain.embedded import ChainConfig, ChainStore, EmbeddedChain, create_app
from mereau.chain.embedded.server import BODY_SIZE_MAX

INTERNAL = {"code": -32603, "message": "internal error"}
OWNER = account(0)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    store = ChainStore(tmp_path)
    yield EmbeddedChain(store, ChainConfig(chain_id=CHAIN_ID, funded=(bytes.fromhex(OWNER.address[2:]),)))
    store.close()


@pytest.fixture
async def http(chain: EmbeddedChain) -> AsyncIterator[httpx.AsyncClient]:
    """The app under its lifespan, as a server would run it."""
    app = create_app(chain)
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # httpx names ASGI's types its own way
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
    await inbox.put({"type": "lifespan.shutdown"})
    assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
    await life


async def ask(http: httpx.AsyncClient, method: str, *parameters: Any) -> dict[str, Any]:
    payload = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    answer: dict[str, Any] = (await http.post("/", json=payload)).json()
    return answer


class FullDisk:
    """Replaces a store's method; fails `times` times and then works again."""

    def __init__(self, store: ChainStore, name: str, times: int) -> None:
        self._real = getattr(store, name)
        self._times = times
        setattr(store, name, self)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self._times > 0:
            self._times -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return self._real(*arguments, **options)


async def test_a_full_disk_is_an_internal_error_and_nothing_happened(
    chain: EmbeddedChain, http: httpx.AsyncClient
) -> None:
    FullDisk(chain.store, "append", 1)
    raw = sign(OWNER)
    with capture_logs() as logs:
        assert (await ask(http, "eth_sendRawTransaction", raw))["error"] == INTERNAL
    assert [entry["event"] for entry in logs] == ["chain_request_failed"]
    assert (await ask(http, "eth_blockNumber"))["result"] == "0x0"
    assert (await ask(http, "eth_getTransactionCount", OWNER.address))["result"] == "0x0"
    assert "result" in await ask(http, "eth_sendRawTransaction", raw)
    assert (await ask(http, "eth_blockNumber"))["result"] == "0x1"


async def test_what_could_not_be_queued_is_not_mined_later(chain: EmbeddedChain, http: httpx.AsyncClient) -> None:
    FullDisk(chain.store, "requeue", 1)
    with capture_logs():
        assert (await ask(http, "eth_sendRawTransaction", sign(OWNER, nonce=1)))["error"] == INTERNAL
    assert "result" in await ask(http, "eth_sendRawTransaction", sign(OWNER, nonce=0))
    assert (await ask(http, "eth_getTransactionCount", OWNER.address, "latest"))["result"] == "0x1"


async def test_every_request_of_a_failed_round_hears_of_it(chain: EmbeddedChain, http: httpx.AsyncClient) -> None:
    FullDisk(chain.store, "append", 1)
    raws = [sign(OWNER, nonce=nonce) for nonce in range(3)]
    payload = [
        {"jsonrpc": "2.0", "id": index, "method": "eth_sendRawTransaction", "params": [raw]}
        for index, raw in enumerate(raws)
    ]
    with capture_logs():
        answers = (await http.post("/", json=payload)).json()
    assert [answer["error"] for answer in answers] == [INTERNAL] * 3
    assert [answer["id"] for answer in answers] == [0, 1, 2]


@pytest.mark.parametrize(
    ("method", "parameters", "broken"),
    [
        ("eth_getBlockByNumber", ["0x0", False], "block"),
        ("eth_getBalance", [STRANGER, "latest"], "node"),
        ("eth_estimateGas", [{"to": STRANGER}], "node"),
    ],
)
async def test_a_broken_store_is_an_internal_error(
    chain: EmbeddedChain, http: httpx.AsyncClient, method: str, parameters: list[Any], broken: str
) -> None:
    FullDisk(chain.store, broken, 1)
    with capture_logs() as logs:
        answer = await ask(http, method, *parameters)
    assert answer == {"jsonrpc": "2.0", "id": 1, "error": INTERNAL}
    assert logs[0]["method"] == method
    assert "result" in await ask(http, method, *parameters)


async def test_a_caller_that_leaves_does_not_stop_the_mining(chain: EmbeddedChain, http: httpx.AsyncClient) -> None:
    gone = asyncio.create_task(ask(http, "eth_sendRawTransaction", sign(OWNER, nonce=0)))
    await asyncio.sleep(0)
    stays = asyncio.create_task(ask(http, "eth_sendRawTransaction", sign(OWNER, nonce=1)))
    while not gone.done() and chain.head.header.number == 0:
        gone.cancel()
        await asyncio.sleep(0.01)
    assert "result" in await stays


async def test_a_long_wait_collects_what_arrives(
    chain: EmbeddedChain, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far ahead of the clock, mining waits; all that came meanwhile goes into one block."""
    monkeypatch.setattr(chain, "pacing_delay_s", lambda: 0.3)
    sends = [ask(http, "eth_sendRawTransaction", sign(OWNER, nonce=nonce)) for nonce in range(5)]
    answers = await asyncio.gather(*sends)
    assert all("result" in answer for answer in answers)
    assert chain.head.header.number == 1


async def test_the_body_limit_counts_all_pieces(http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_SIZE_MAX // 2**20 + 1):
            yield b" " * 2**20

    headers = {"content-type": "application/json"}
    assert (await http.post("/", content=pieces(), headers=headers)).status_code == 413


async def test_a_disconnect_before_the_end_of_the_body(chain: EmbeddedChain) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST",
        "headers": [(b"content-type", b"application/json"), (b"host", b"localhost")],
    }  # fmt: skip
    await create_app(chain)(scope, receive, send)
    assert sent[0]["status"] == 400


@pytest.mark.parametrize(
    ("served_on", "asked_for", "status"),
    [
        ("127.0.0.1", "chain.internal", 403),
        ("chain.internal", "chain.internal:8545", 200),
        ("chain.internal", "other.internal", 403),
        ("0.0.0.0", "anything.at.all", 200),
        ("::", "anything.at.all", 200),
    ],
)
async def test_the_names_it_answers_to(chain: EmbeddedChain, served_on: str, asked_for: str, status: int) -> None:
    transport = httpx.ASGITransport(app=create_app(chain, host=served_on))  # type: ignore[arg-type] # as above
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        payload = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
        answer = await client.post("/", json=payload, headers={"host": asked_for})
    assert answer.status_code == status
