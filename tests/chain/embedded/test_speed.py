"""The bars of speed and memory, on the real token.

Speed is counted in the node's own processor seconds, which are wall seconds on an idle machine and do not
depend on who else is at work on a shared one.
"""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from chain.embedded.loyalty import Token
from chain.embedded.support import Client, Node, account, dumps

pytestmark = pytest.mark.slow

CREDITS = 200
CREDITS_PER_S_MIN = 1_000
LOGS = 2_000
READ_S_MAX = 0.060
MEMORY_MIB_MAX = 120
IMPORT_CREDITS = 30_000
IMPORT_BATCH = 1_500
RUNS = 8


def members(count: int, seed: int) -> list[bytes]:
    source = random.Random(seed)
    return [source.randbytes(20) for _ in range(count)]


def processor_s(node: Node) -> float:
    times = psutil.Process(node.process.pid).cpu_times()
    return float(times.user + times.system)


def timed(node: Node, work: Callable[[], Any]) -> tuple[float, Any]:
    """The processor seconds that the node spent on `work`, and its result."""
    began = processor_s(node)
    result = work()
    return processor_s(node) - began, result


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Token]]:
    owner, signer = account(0), account(1)
    node = Node(tmp_path_factory.mktemp("speed"), funded=[owner.address], development=False)
    rpc = node.start()
    yield node, Token(rpc, owner, signer).deploy()
    rpc.http.close()
    node.stop()


def run_batch(token: Token, holders: list[bytes]) -> dict[str, Any]:
    """Estimate and mine one order; answers its receipt."""
    rpc, data = token.rpc, token.issue(holders)
    gas = int(rpc("eth_estimateGas", token.request(data)), 16)
    digest = rpc("eth_sendRawTransaction", token.signed(data, gas=gas))
    receipt: dict[str, Any] = rpc("eth_getTransactionReceipt", digest)
    assert receipt["status"] == "0x1"
    assert len(receipt["logs"]) == len(holders) + 1
    return receipt


def test_credits_per_second(token: tuple[Node, Token]) -> None:
    node, contract = token
    holders = members(CREDITS, 1)
    run_batch(contract, holders)
    simulated_s = mined_s = 0.0
    for _ in range(RUNS):
        data = contract.issue(holders)
        spent_s, gas = timed(node, lambda data=data: contract.rpc("eth_estimateGas", contract.request(data)))
        simulated_s += spent_s
        raw = contract.signed(data, gas=int(gas, 16))
        spent_s, _ = timed(node, lambda raw=raw: contract.rpc("eth_sendRawTransaction", raw))
        mined_s += spent_s
    assert RUNS * CREDITS / simulated_s >= CREDITS_PER_S_MIN
    assert RUNS * CREDITS / mined_s >= CREDITS_PER_S_MIN


def test_two_thousand_logs_are_read_in_time(token: tuple[Node, Token]) -> None:
    node, contract = token
    rpc = contract.rpc
    receipts = [run_batch(contract, members(CREDITS, 10 + index)) for index in range(LOGS // CREDITS)]
    first, last = receipts[0]["blockNumber"], receipts[-1]["blockNumber"]
    numbers = range(int(first, 16), int(last, 16) + 1)
    criteria = {"fromBlock": first, "toBlock": last, "address": contract.address}
    for question in (
        rpc.request("eth_getLogs", criteria),
        [rpc.request("eth_getBlockReceipts", hex(number)) for number in numbers],
    ):
        body = dumps(question)
        assert rpc.post_raw(body).content.count(b'"logIndex"') >= LOGS
        spent_s, _ = timed(node, lambda body=body: [rpc.post_raw(body) for _ in range(RUNS)])
        assert spent_s / RUNS <= READ_S_MAX


def test_reads_are_answered_while_a_big_transaction_runs(token: tuple[Node, Token]) -> None:
    _, contract = token
    rpc, reader = contract.rpc, Client(contract.rpc.url)
    data = contract.issue(members(650, 3))
    raw = contract.signed(data, gas=16_777_216)
    mined = threading.Event()

    def mine() -> None:
        rpc("eth_sendRawTransaction", raw)
        mined.set()

    thread = threading.Thread(target=mine)
    thread.start()
    answered = 0
    while not mined.is_set():
        reader("eth_getBlockReceipts", "latest")
        answered += 1
    thread.join()
    assert answered >= 3
    reader.http.close()


def test_memory_after_an_import(token: tuple[Node, Token]) -> None:
    node, contract = token
    holders = members(3_000, 4)
    for start in range(0, len(holders), 500):
        run_batch(contract, holders[start : start + 500])
    source = random.Random(5)
    for _ in range(IMPORT_CREDITS // IMPORT_BATCH):
        run_batch(contract, source.sample(holders, IMPORT_BATCH))
    assert node.memory_mib() <= MEMORY_MIB_MAX
    stored_mib = sum(path.stat().st_size for path in Path(node.data_dir).iterdir()) / 2**20
    assert stored_mib < 200
