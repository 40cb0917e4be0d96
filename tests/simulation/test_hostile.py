"""The hostile proxy itself: each fault is seen by a plain client, and the same seed brings the same faults."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
from eth_account import Account

from fixtures.chain import ANVIL_KEY, CHAIN_ID, running_anvil
from fixtures.hostile import FAULTS, Caps, Exchange, Fault, HostileProxy
from fixtures.hostile_exchange import refused
from fixtures.proxy import Reply
from fixtures.spellings import SPELLINGS
from mereau.chain.errors import LimitExceededError, RpcUnavailableError
from mereau.chain.rpc import RpcClient

pytestmark = pytest.mark.node

# Creation code that emits four empty logs and stops.
FOUR_LOGS = "0x" + "60006000a0" * 4 + "00"
BANK = Account.from_key(ANVIL_KEY)


@dataclass(frozen=True)
class Plain:
    """A client that knows nothing of typed errors."""

    url: str
    http: httpx.AsyncClient

    async def post(self, content: Any) -> httpx.Response:
        return await self.http.post(self.url, json=content)

    async def call(self, method: str, *params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.post(envelope(method, *params))).json()
        return answer

    async def result(self, method: str, *params: Any) -> Any:
        return (await self.call(method, *params))["result"]

    async def sent(self, raw: str) -> dict[str, Any]:
        return await self.call("eth_sendRawTransaction", raw)


@dataclass(frozen=True)
class Node:
    """A chain of eight blocks whose third holds four logs in one of its two transactions."""

    url: str
    logs_block: dict[str, Any]


def envelope(method: str, *params: Any, number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def batch(*methods: str) -> list[dict[str, Any]]:
    return [envelope(method, number=place) for place, method in enumerate(methods, 1)]


@pytest.fixture(scope="module")
def node_url() -> Iterator[str]:
    with running_anvil("--no-mining", "--chain-id", str(CHAIN_ID)) as url:
        yield url


@pytest.fixture
async def direct(node_url: str) -> AsyncIterator[Plain]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Plain(node_url, http)


@pytest.fixture
async def node(node_url: str, direct: Plain) -> Node:
    if int(await direct.result("eth_blockNumber"), 16) == 0:
        await direct.result("anvil_mine", "0x2")
        await direct.result("eth_sendTransaction", {"from": BANK.address, "data": FOUR_LOGS})
        await direct.result("eth_sendTransaction", {"from": BANK.address, "to": BANK.address})
        await direct.result("anvil_mine", "0x6")
    return Node(node_url, await direct.result("eth_getBlockByNumber", "0x3", False))


@pytest.fixture
async def proxy(node: Node) -> AsyncIterator[HostileProxy]:
    async with HostileProxy(node.url, seed=1) as relay:
        yield relay


@pytest.fixture
async def plain(proxy: HostileProxy) -> AsyncIterator[Plain]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Plain(proxy.url, http)


async def a_transaction(direct: Plain) -> tuple[str, str]:
    """A transaction that no pool has seen: its raw bytes and its hash."""
    nonce = int(await direct.result("eth_getTransactionCount", BANK.address, "pending"), 16)
    signed = BANK.sign_transaction(
        {
            "type": 2, "chainId": CHAIN_ID, "nonce": nonce, "to": BANK.address, "value": 1, "gas": 21_000,
            "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9,
        }
    )  # fmt: skip
    return signed.raw_transaction.to_0x_hex(), signed.hash.to_0x_hex()


async def in_pool(direct: Plain, digest: str) -> bool:
    return await direct.result("eth_getTransactionByHash", digest) is not None


async def fails_in_transport(call: Awaitable[object]) -> None:
    with pytest.raises(httpx.TransportError):
        await call


async def test_without_faults_the_node_is_seen_as_it_is(plain: Plain, direct: Plain, proxy: HostileProxy) -> None:
    assert await plain.result("eth_getBlockByNumber", "latest", True) == await direct.result(
        "eth_getBlockByNumber", "latest", True
    )
    many = batch("eth_chainId", "eth_blockNumber", "eth_nonsense")
    assert (await plain.post(many)).json() == (await direct.post(many)).json()
    assert (proxy.suffered, len(proxy.methods)) == ([], 4)


@pytest.mark.parametrize("fault", ["lost_reply", "reset_after", "cut_short"])
async def test_a_reply_is_lost_after_the_node_acted(
    plain: Plain, direct: Plain, proxy: HostileProxy, fault: str
) -> None:
    raw, digest = await a_transaction(direct)
    proxy.plan(fault)
    await fails_in_transport(plain.sent(raw))
    assert await in_pool(direct, digest)
    assert proxy.suffered == [fault]
    assert proxy.sent == [bytes.fromhex(raw[2:])]


async def test_a_reset_before_the_node_acted(plain: Plain, direct: Plain, proxy: HostileProxy) -> None:
    raw, digest = await a_transaction(direct)
    proxy.plan("reset_before")
    await fails_in_transport(plain.sent(raw))
    assert not await in_pool(direct, digest)


@pytest.mark.parametrize(
    ("fault", "status", "acted"),
    [("bad_gateway", 502, False), ("bad_gateway_after", 502, True), ("unavailable", 503, False),
     ("rate_limited", 429, False)],
)  # fmt: skip
async def test_gateways_answer_for_the_node(
    plain: Plain, direct: Plain, proxy: HostileProxy, fault: str, status: int, acted: bool
) -> None:
    raw, digest = await a_transaction(direct)
    proxy.plan(fault)
    answer = await plain.post(envelope("eth_sendRawTransaction", raw))
    assert answer.status_code == status
    assert await in_pool(direct, digest) is acted


async def test_half_a_body_of_the_right_length(plain: Plain, proxy: HostileProxy) -> None:
    proxy.plan("half_json")
    answer = await plain.post(envelope("eth_chainId"))
    assert (answer.status_code, len(answer.content)) == (200, int(answer.headers["content-length"]))
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.content)


async def test_a_request_reaches_the_node_twice(plain: Plain, direct: Plain, proxy: HostileProxy) -> None:
    raw, digest = await a_transaction(direct)
    proxy.plan("sent_twice")
    assert "already" in (await plain.sent(raw))["error"]["message"]
    assert await in_pool(direct, digest)


async def test_a_transaction_is_swallowed(plain: Plain, direct: Plain, proxy: HostileProxy) -> None:
    raw, digest = await a_transaction(direct)
    proxy.plan("swallowed")
    assert int((await plain.sent(raw))["result"], 16) == 0
    assert not await in_pool(direct, digest)


async def test_a_delay_changes_nothing_else(plain: Plain, proxy: HostileProxy) -> None:
    proxy.plan("delayed")
    assert int(await plain.result("eth_chainId"), 16) == CHAIN_ID
    assert proxy.suffered == ["delayed"]


async def test_batches_come_in_another_order_and_incomplete(plain: Plain, proxy: HostileProxy) -> None:
    many = batch(*["eth_chainId"] * 20)
    proxy.plan("reordered")
    proxy.plan("answer_missing")
    assert await plain.result("eth_chainId") == hex(CHAIN_ID)
    ids = [answer["id"] for answer in (await plain.post(many)).json()]
    assert ids != sorted(ids)
    assert sorted(ids) == list(range(1, 21))
    assert len((await plain.post(many)).json()) == 19


@pytest.mark.parametrize(("fault", "count"), [("logs_missing", 3), ("logs_doubled", 5), ("logs_unordered", 4)])
async def test_lies_about_logs(plain: Plain, node: Node, proxy: HostileProxy, fault: str, count: int) -> None:
    query = {"blockHash": node.logs_block["hash"]}
    honest = await plain.result("eth_getLogs", query)
    proxy.plan(fault)
    lies = await plain.result("eth_getLogs", query)
    assert len(lies) == count
    assert lies != honest
    assert all(log in honest for log in lies)


@pytest.mark.parametrize(
    "fault",
    ["receipt_logs_missing", "receipt_logs_doubled", "receipt_status", "receipt_other_block", "receipt_missing",
     "receipts_unordered", "receipts_null"],
)  # fmt: skip
async def test_lies_about_a_blocks_receipts(plain: Plain, node: Node, proxy: HostileProxy, fault: str) -> None:
    honest = await plain.result("eth_getBlockReceipts", node.logs_block["hash"])
    assert [len(receipt["logs"]) for receipt in honest] == [4, 0]
    changed = {
        "receipt_logs_missing": lambda lies: [len(one["logs"]) for one in lies] == [3, 0],
        "receipt_logs_doubled": lambda lies: [len(one["logs"]) for one in lies] == [5, 0],
        "receipt_status": lambda lies: [one["status"] for one in lies] == ["0x0", "0x0"],
        "receipt_other_block": lambda lies: {one["blockNumber"] for one in lies} == {"0x4"},
        "receipt_missing": lambda lies: len(lies) == 1,
        "receipts_unordered": lambda lies: sorted(lies, key=str) == sorted(honest, key=str),
        "receipts_null": lambda lies: lies is None,
    }
    proxy.plan(fault)
    assert changed[fault](await plain.result("eth_getBlockReceipts", node.logs_block["hash"]))
    assert await plain.result("eth_getBlockReceipts", node.logs_block["hash"]) == honest


async def test_lies_about_one_receipt_and_one_block(plain: Plain, node: Node, proxy: HostileProxy) -> None:
    name = node.logs_block["transactions"][0]
    proxy.plan("receipt_status")
    assert (await plain.result("eth_getTransactionReceipt", name))["status"] == "0x0"
    proxy.plan("receipts_null")
    assert await plain.result("eth_getTransactionReceipt", name) is None
    proxy.plan("block_null")
    assert await plain.result("eth_getBlockByNumber", "0x3", False) is None
    proxy.plan("block_forged")
    forged = await plain.result("eth_getBlockByNumber", "0x3", False)
    assert {name for name in forged if forged[name] != node.logs_block[name]} == {"stateRoot"}
    proxy.plan("receipts_null")
    assert await plain.result("eth_getBlockByNumber", "0x3", False) == node.logs_block
    assert "receipts_null" not in proxy.suffered[3:]


SENDING = {
    "already_known": True, "nonce_too_low": False, "nonce_too_low_after": True, "nonce_too_high": False,
    "replacement_underpriced": False, "replacement_underpriced_after": True, "underpriced": False,
    "insufficient_funds": False, "internal_error": False, "internal_error_after": True,
}  # fmt: skip


@pytest.mark.parametrize("fault", SENDING)
async def test_refusals_speak_as_the_family_does(plain: Plain, direct: Plain, proxy: HostileProxy, fault: str) -> None:
    rows = [row for table in SPELLINGS.values() for row in table]
    for family, table in SPELLINGS.items():
        raw, digest = await a_transaction(direct)
        proxy.family = family
        proxy.plan(fault)
        error = (await plain.sent(raw))["error"]
        assert await in_pool(direct, digest) is SENDING[fault]
        kind = next(row[0] for row in rows if row[1:] == (error["code"], error["message"]))
        spoken = {row[1:] for row in table if row[0] is kind}
        assert not spoken or (error["code"], error["message"]) in spoken


async def test_one_of_a_batch_is_refused(plain: Plain, proxy: HostileProxy) -> None:
    proxy.plan("limit_exceeded")
    answers = (await plain.post(batch(*["eth_chainId"] * 5))).json()
    assert sorted("error" in answer for answer in answers) == [False] * 4 + [True]
    proxy.plan("header_not_found")
    assert "result" in await plain.call("eth_blockNumber")
    assert "error" in await plain.call("eth_getTransactionCount", BANK.address, "latest")


async def test_an_older_head_hides_what_is_newer(plain: Plain, node: Node, proxy: HostileProxy) -> None:
    """Block 3 of 8 lies five blocks back: a lag of six hides it everywhere."""
    state = {"blockHash": node.logs_block["hash"]}
    name = node.logs_block["transactions"][0]
    by_hash: list[tuple[str, *tuple[Any, ...]]] = [
        ("eth_getTransactionReceipt", name),
        ("eth_getTransactionByHash", name),
        ("eth_getBlockReceipts", state["blockHash"]),
        ("eth_getBlockByHash", state["blockHash"], False),
        ("eth_getBlockByNumber", "0x3", False),
    ]
    spent = int(await plain.result("eth_getTransactionCount", BANK.address, state), 16)
    for lag, head, seen in ((5, 3, True), (6, 2, False)):
        proxy.lag_blocks = lag
        assert int(await plain.result("eth_blockNumber"), 16) == head
        assert int((await plain.result("eth_getBlockByNumber", "latest", False))["number"], 16) == head
        for question in by_hash:
            assert (await plain.result(*question) is not None) is seen
        assert len(await plain.result("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})) == 4 * seen
        assert len(await plain.result("eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x8"})) == 4 * seen
        answer = await plain.call("eth_getTransactionCount", BANK.address, state)
        assert answer.get("error", {}).get("message") == (None if seen else "header not found")
        nonce = int(await plain.result("eth_getTransactionCount", BANK.address, "pending"), 16)
        assert nonce == (spent if seen else 0)


async def test_a_head_that_flaps(plain: Plain, proxy: HostileProxy) -> None:
    proxy.storm({"older_head": 0.5})
    heads = {int(await plain.result("eth_blockNumber"), 16) for _ in range(30)}
    assert heads == {8, 7, 6, 5}
    proxy.calm()
    assert int(await plain.result("eth_blockNumber"), 16) == 8


async def test_caps_refuse_in_words_that_we_know(proxy: HostileProxy) -> None:
    """Every refusal is a LimitExceededError to our own client, whoever spells it."""
    query = {"fromBlock": "0x1", "toBlock": "0x3"}
    tight = (Caps(logs_blocks_max=2), Caps(logs_results_max=3), Caps(response_bytes_max=500))
    async with RpcClient(proxy.url) as client:
        for proxy.family, proxy.caps in itertools.product(SPELLINGS, tight):
            with pytest.raises(LimitExceededError):
                await client.call("eth_getLogs", query)
        proxy.caps = Caps(batch_max=2)
        for proxy.family in SPELLINGS:
            assert len(await client.batch([("eth_chainId", ())] * 3)) == 3, "smaller batches do"
        proxy.caps = Caps(batch_max=0)
        for proxy.family in SPELLINGS:
            with pytest.raises(LimitExceededError):
                await client.batch([("eth_chainId", ())] * 3)
        proxy.caps = Caps(logs_blocks_max=3, logs_results_max=4, batch_max=3, response_bytes_max=10_000)
        assert len(await client.call("eth_getLogs", query)) == 4
        assert len(await client.batch([("eth_chainId", ())] * 3)) == 3


async def test_a_node_without_limits_refuses_nothing(plain: Plain, proxy: HostileProxy) -> None:
    assert len(await plain.result("eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest"})) == 4


async def faults_of(node: Node, seed: int) -> list[str]:
    async with HostileProxy(node.url, seed) as relay, RpcClient(relay.url) as client:
        relay.storm(dict.fromkeys(FAULTS, 0.03))
        for _ in range(60):
            await asyncio.gather(client.batch([("eth_chainId", ()), ("eth_blockNumber", ())]), return_exceptions=True)
        return relay.suffered


async def test_the_seed_decides(node: Node) -> None:
    first, again, other = [await faults_of(node, seed) for seed in (5, 5, 6)]
    assert first == again != other
    assert len(set(first)) > 5


async def test_rates_are_chances(plain: Plain, proxy: HostileProxy) -> None:
    proxy.storm({"unavailable": 0.25, "bad_gateway": 0.5}, seed=3)
    statuses = [(await plain.post(envelope("eth_chainId"))).status_code for _ in range(200)]
    assert 30 < statuses.count(503) < 70
    assert 75 < statuses.count(502) < 125
    proxy.storm({"unavailable": 1})
    assert (await plain.post(envelope("eth_chainId"))).status_code == 503


async def test_a_plan_waits_for_its_turn(plain: Plain, proxy: HostileProxy) -> None:
    proxy.plan("unavailable", skip=2)
    statuses = [(await plain.post(envelope("eth_chainId"))).status_code for _ in range(4)]
    assert statuses == [200, 200, 503, 200]


async def test_faults_of_ones_own(plain: Plain, proxy: HostileProxy) -> None:
    """What a test wants to do while an exchange is under way is a fault like any other."""

    async def deny(exchange: Exchange) -> Reply:
        return exchange.answered([refused(exchange.requests[0], -1, "no")])

    proxy.plan(Fault("denied", deny, frozenset({"eth_chainId"})))
    assert "result" in await plain.call("eth_blockNumber")
    assert (await plain.call("eth_chainId"))["error"]["message"] == "no"
    assert proxy.suffered == ["denied"]


async def test_unknown_faults_are_mistakes(proxy: HostileProxy) -> None:
    with pytest.raises(ValueError, match="no such faults: \\['lost_mind'\\]"):
        proxy.storm({"lost_mind": 1})
    with pytest.raises(KeyError):
        proxy.plan("lost_mind")


@pytest.mark.parametrize("fault", ["lost_reply", "reset_before", "reset_after", "cut_short", "half_json",
                                   "bad_gateway", "unavailable", "answer_missing"])  # fmt: skip
async def test_our_client_calls_no_answer_what_is_none(proxy: HostileProxy, fault: str) -> None:
    async with RpcClient(proxy.url) as client:
        proxy.plan(fault)
        with pytest.raises(RpcUnavailableError):
            await client.batch([("eth_chainId", ()), ("eth_blockNumber", ())])
        assert len(await client.batch([("eth_chainId", ()), ("eth_blockNumber", ())])) == 2
