"""The real token in bulk: whole answers for thousands of logs, readers beside a big transaction, bounded memory."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.embedded.loyalty import Token
from chain.embedded.support import Client, Node, account, dumps

CREDITS = 200
LOGS = 2_000
MEMORY_MIB_MAX = 120
STORED_MIB_MAX = 200
IMPORT_CREDITS = 6_000
IMPORT_BATCH = 1_500


def members(count: int, seed: int) -> list[bytes]:
    source = random.Random(seed)
    return [source.randbytes(20) for _ in range(count)]


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Token]]:
    owner, signer = account(0), account(1)
    node = Node(tmp_path_factory.mktemp("volume"), funded=[owner.address], development=False)
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


def test_thousands_of_logs_come_whole_in_one_answer(token: tuple[Node, Token]) -> None:
    _, contract = token
    rpc = contract.rpc
    receipts = [run_batch(contract, members(CREDITS, 10 + index)) for index in range(LOGS // CREDITS)]
    first, last = receipts[0]["blockNumber"], receipts[-1]["blockNumber"]
    numbers = range(int(first, 16), int(last, 16) + 1)
    criteria = {"fromBlock": first, "toBlock": last, "address": contract.address}
    for question in (
        rpc.request("eth_getLogs", criteria),
        [rpc.request("eth_getBlockReceipts", hex(number)) for number in numbers],
    ):
        logs = LOGS + len(receipts)
        assert rpc.post_raw(dumps(question)).content.count(b'"logIndex"') == logs
    assert rpc("eth_getLogs", criteria) == [log for receipt in receipts for log in receipt["logs"]]


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
        # An answer that came only when the transaction was through proves nothing.
        answered += not mined.is_set()
    thread.join()
    assert answered >= 1
    reader.http.close()


@pytest.mark.slow
def test_memory_after_an_import(token: tuple[Node, Token]) -> None:
    node, contract = token
    holders = members(IMPORT_BATCH, 4)
    for start in range(0, len(holders), 500):
        run_batch(contract, holders[start : start + 500])
    source = random.Random(5)
    for _ in range(IMPORT_CREDITS // IMPORT_BATCH):
        run_batch(contract, source.sample(holders, IMPORT_BATCH))
    assert node.memory_mib() <= MEMORY_MIB_MAX
    stored_mib = sum(path.stat().st_size for path in Path(node.data_dir).iterdir()) / 2**20
    assert stored_mib < STORED_MIB_MAX
