"""Whatever arrives at the door gets a proper answer, and the node lives on."""

from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.embedded.support import STRANGER, Client, RpcError, dumps

PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602


def alive(rpc: Client) -> bool:
    return rpc("eth_chainId") == "0x515a"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", PARSE),
        (b"{", PARSE),
        (b"nonsense", PARSE),
        (b"\xff\xfe", PARSE),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[NaN]}', PARSE),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, PARSE),
        (b"[]", REQUEST),
        (b"1", REQUEST),
        (b"null", REQUEST),
        (b'"eth_chainId"', REQUEST),
        (b"{}", REQUEST),
        (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', REQUEST),
        (b'{"jsonrpc":"2.0","id":1}', REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', REQUEST),
        (b'{"jsonrpc":"2.0","id":true,"method":"eth_chainId"}', REQUEST),
        (b'{"jsonrpc":"2.0","id":[],"method":"eth_chainId"}', REQUEST),
        (b'{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{}}', PARAMS),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":"x"}', PARAMS),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":null}', PARAMS),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":["x"]}', PARAMS),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":[]}', PARAMS),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":[1]}', PARAMS),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_nothing"}', METHOD),
        (b'{"jsonrpc":"2.0","id":1,"method":"__class__"}', METHOD),
    ],
)
def test_a_malformed_request_gets_its_error(rpc: Client, body: bytes, code: int) -> None:
    answer = rpc.post_raw(body)
    assert answer.status_code == 200
    payload = answer.json()
    assert payload["jsonrpc"] == "2.0"
    assert payload["error"]["code"] == code
    assert isinstance(payload["error"]["message"], str)
    assert alive(rpc)


@pytest.mark.parametrize("request_id", [0, 1, -5, "a", "", None, 1.5, 2**53])
def test_the_id_comes_back_as_it_was(rpc: Client, request_id: Any) -> None:
    payload = {"jsonrpc": "2.0", "id": request_id, "method": "eth_chainId", "params": []}
    assert rpc.post(payload).json() == {"jsonrpc": "2.0", "id": request_id, "result": "0x515a"}


def test_parameters_may_be_left_out(rpc: Client) -> None:
    assert rpc.post({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}).json()["result"] == "0x515a"


def test_a_batch_answers_in_order_each_for_itself(rpc: Client) -> None:
    batch = [
        rpc.request("eth_chainId"),
        "garbage",
        rpc.request("eth_estimateGas", {"to": STRANGER}),
        rpc.request("eth_nothing"),
        rpc.request("eth_blockNumber"),
        {"jsonrpc": "2.0", "method": "eth_chainId"},
    ]
    answers = rpc.post(batch).json()
    assert len(answers) == 5
    assert answers[0]["result"] == "0x515a"
    assert answers[1]["error"]["code"] == REQUEST
    assert answers[1]["id"] is None
    assert answers[2]["result"] == "0x5208"
    assert answers[3]["error"]["code"] == METHOD
    assert [answer["id"] for answer in (answers[0], *answers[2:])] == [batch[index]["id"] for index in (0, 2, 3, 4)]


def test_a_batch_is_bounded(rpc: Client) -> None:
    request = rpc.request("eth_chainId")
    assert len(rpc.post([request] * 1_000).json()) == 1_000
    assert rpc.post([request] * 1_001).json()["error"]["code"] == REQUEST


@pytest.mark.parametrize("method", ["eth_chainId", "eth_sendRawTransaction", "eth_estimateGas"])
def test_a_notification_gets_no_answer(rpc: Client, method: str) -> None:
    notification = {"jsonrpc": "2.0", "method": method, "params": []}
    for payload in (notification, [notification, notification]):
        answer = rpc.post(payload)
        assert (answer.status_code, answer.content) == (204, b"")


def test_a_body_over_the_limit_is_refused(rpc: Client) -> None:
    request = rpc.request("eth_call", {"to": STRANGER, "data": "0x" + "00" * 2_700_000})
    assert rpc.post(request).status_code == 413
    assert alive(rpc)
    smaller = rpc.request("eth_getLogs", {"topics": [], "address": ["0x" + "11" * 20] * 1_001})
    assert rpc.post(smaller).json()["error"]["code"] == PARAMS


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "DELETE"])
def test_only_posts_are_answered(rpc: Client, method: str) -> None:
    assert rpc.http.request(method, rpc.url).status_code == 405


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
def test_what_a_page_may_send_without_asking_is_refused(rpc: Client, kind: str) -> None:
    body = dumps(rpc.request("eth_chainId"))
    assert rpc.http.post(rpc.url, content=body, headers={"content-type": kind}).status_code == 415


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200), ("localhost", 200), ("LOCALHOST:8545", 200), ("[::1]:5", 200), ("[::1]", 200),
        ("evil.example", 403), ("127.0.0.1.evil.example:80", 403), ("", 403), ("localhost.:80", 403),
    ],
)  # fmt: skip
def test_a_name_that_was_rebound_to_loopback_is_refused(rpc: Client, host: str, status: int) -> None:
    assert rpc.post_raw(dumps(rpc.request("eth_chainId")), host=host).status_code == status


def test_a_charset_does_no_harm(rpc: Client) -> None:
    body = dumps(rpc.request("eth_chainId"))
    answer = rpc.http.post(rpc.url, content=body, headers={"content-type": "application/json; charset=utf-8"})
    assert answer.json()["result"] == "0x515a"


def test_a_body_that_breaks_off_harms_nobody(rpc: Client) -> None:
    def pieces() -> Any:
        yield b'{"jsonrpc":'
        raise httpx.ReadError("gone")

    with pytest.raises(httpx.ReadError):
        rpc.http.post(rpc.url, content=pieces(), headers={"content-type": "application/json"})
    assert alive(rpc)


@pytest.mark.parametrize(
    "criteria",
    [
        None, [], "x", {"fromBlock": 1}, {"fromBlock": "x"}, {"address": "0x1"}, {"address": {}}, {"topics": "x"},
        {"topics": ["0x01"]}, {"topics": [["0x01"]]}, {"topics": [None] * 5}, {"topics": [[None, {}]]},
        {"colour": 1}, {"blockHash": "0x01"}, {"toBlock": ["latest"]}, {"topics": [5]},
    ],
)  # fmt: skip
def test_a_malformed_filter_is_refused(rpc: Client, criteria: Any) -> None:
    with pytest.raises(RpcError) as refusal:
        rpc("eth_getLogs", criteria)
    assert refusal.value.code == PARAMS


METHODS = st.sampled_from([
    "eth_getBalance", "eth_getTransactionCount", "eth_getCode", "eth_getStorageAt", "eth_call",
    "eth_estimateGas", "eth_sendRawTransaction", "eth_getBlockByNumber", "eth_getBlockByHash",
    "eth_getTransactionByHash", "eth_getTransactionReceipt", "eth_getBlockReceipts", "eth_getLogs",
    "eth_getProof", "eth_feeHistory", "evm_increaseTime", "eth_getBlockTransactionCountByNumber",
])  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.sampled_from(["0x", "0x0", "latest", "0x" + "11" * 20, "0x" + "11" * 32, "\0", "\ud7ff"]),
    st.binary(max_size=40).map(lambda data: "0x" + data.hex()),
)  # fmt: skip
KEYS = st.one_of(st.sampled_from(["to", "from", "data", "topics", "address", "blockHash", "fromBlock"]), st.text())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(METHODS, st.lists(VALUES, max_size=4))
def test_no_parameters_make_it_fail_inside(rpc: Client, method: str, parameters: list[Any]) -> None:
    if method == "evm_increaseTime":
        parameters = [value for value in parameters if not isinstance(value, int)]
    answer = rpc.post(rpc.request(method, *parameters))
    assert answer.status_code == 200
    assert answer.json().get("error", {}).get("code") != -32603


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_inside(rpc: Client, body: bytes) -> None:
    answer = rpc.post_raw(body)
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] in {PARSE, REQUEST}


@settings(max_examples=150)
@given(st.binary(max_size=150), st.sampled_from([b"", b"\1", b"\2", b"\4", b"\xc0", b"\xf8"]))
def test_no_transaction_bytes_make_it_fail_inside(rpc: Client, body: bytes, start: bytes) -> None:
    with pytest.raises(RpcError) as refusal:
        rpc("eth_sendRawTransaction", "0x" + (start + body).hex())
    assert refusal.value.code == -32000
