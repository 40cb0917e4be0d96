"""SIGKILL at any moment: nothing that was answered is lost, nothing is half there."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from chain.embedded.assembler import COUNTER, creation, words
from chain.embedded.support import Client, Node, RpcError, account, sign
from chain.embedded.test_reading import encoded_receipt, header_hash, root_of

StartNode = Callable[..., tuple[Node, Client]]
KILLS = 7
SENDERS = 3


def stream(url: str, number: int, counter: str, answered: list[str]) -> None:
    """Send until the node dies; every hash that was answered is noted."""
    rpc, sender = Client(url), account(number)
    payload = words(*range(number * 100, number * 100 + 9))
    with rpc.http:
        try:
            nonce = rpc.nonce(sender)
            while True:
                raw = sign(sender, nonce=nonce, to=counter, data=payload, gas=900_000)
                answered.append(rpc("eth_sendRawTransaction", raw))
                nonce += 1
        except (httpx.TransportError, RpcError):
            return


def check_whole(rpc: Client, answered: list[str], counter: str) -> None:
    """Every answered hash is mined; headers link and hash; receipts, logs and state agree to the last unit."""
    head = int(rpc("eth_blockNumber"), 16)
    counted: dict[str, int] = {}
    mined: list[str] = []
    parent = None
    for number in range(head + 1):
        block = rpc("eth_getBlockByNumber", hex(number), False)
        receipts = rpc("eth_getBlockReceipts", hex(number))
        assert header_hash(block) == block["hash"]
        assert parent is None or block["parentHash"] == parent
        assert root_of([encoded_receipt(receipt) for receipt in receipts]) == block["receiptsRoot"]
        assert [receipt["transactionHash"] for receipt in receipts] == block["transactions"]
        mined += block["transactions"]
        for log in (log for receipt in receipts for log in receipt["logs"]):
            counted[log["topics"][1]] = counted.get(log["topics"][1], 0) + 1
        parent = block["hash"]
    assert len(set(mined)) == len(mined)
    assert set(answered) <= set(mined)
    for slot, count in counted.items():
        assert int(rpc("eth_getStorageAt", counter, slot, "latest"), 16) == count


@pytest.mark.slow
def test_a_stream_of_transactions_survives_kill_after_kill(start_node: StartNode) -> None:
    seed = random.Random(20826)
    node, rpc = start_node()
    counter = rpc.deploy(account(3), creation(COUNTER))
    answered: list[str] = []
    for kill in range(KILLS):
        threads = [
            threading.Thread(target=stream, args=(rpc.url, number, counter, answered)) for number in range(SENDERS)
        ]
        for thread in threads:
            thread.start()
        # Counted in answers and not in seconds, so that a slow machine is killed at work as well; where within
        # the next block it hits is left to chance.
        enough = len(answered) + seed.randint(1, 12)
        while len(answered) < enough and all(thread.is_alive() for thread in threads):
            time.sleep(0.002)
        time.sleep(seed.uniform(0, 0.02))
        node.kill()
        for thread in threads:
            thread.join()
        node, rpc = start_node()
        nonces = [rpc.nonce(account(number)) for number in range(SENDERS)]
        assert sum(nonces) >= len(answered), f"kill {kill} lost a transaction"
        assert all(rpc("eth_getTransactionReceipt", digest)["status"] == "0x1" for digest in answered[-9:])
    assert len(answered) >= KILLS
    check_whole(rpc, answered, counter)
    assert rpc.mine(account(0), to=counter, data=words(1))["status"] == "0x1"


def test_queued_transactions_survive_a_kill(start_node: StartNode) -> None:
    node, rpc = start_node()
    owner = account(0)
    waiting = [rpc.send(owner, nonce=nonce) for nonce in (2, 1)]
    node.kill()
    _, rpc = start_node()
    assert all(rpc("eth_getTransactionByHash", digest)["blockHash"] is None for digest in waiting)
    rpc.send(owner, nonce=0)
    assert all(rpc("eth_getTransactionReceipt", digest)["status"] == "0x1" for digest in waiting)


def test_a_replaced_transaction_does_not_come_back(start_node: StartNode) -> None:
    node, rpc = start_node()
    owner = account(0)
    old = rpc.send(owner, nonce=1)
    new = rpc.send(owner, nonce=1, maxFeePerGas=20 * 10**9, maxPriorityFeePerGas=2 * 10**9)
    node.kill()
    _, rpc = start_node()
    rpc.send(owner, nonce=0)
    assert rpc("eth_getTransactionByHash", old) is None
    assert rpc("eth_getTransactionReceipt", new)["status"] == "0x1"


def test_successors_left_between_two_blocks_are_mined_at_the_start(start_node: StartNode) -> None:
    """The crash after the block that made them ready, as the store would show it."""
    node, rpc = start_node()
    owner = account(0)
    ahead = sign(owner, nonce=1)
    node.stop()
    raw = bytes.fromhex(ahead[2:])
    with closing(sqlite3.connect(node.data_dir / "chain.sqlite")) as store:
        store.execute("INSERT INTO queued VALUES (?, ?)", (b"\1" * 32, raw))
        store.commit()
    node, rpc = start_node()
    rpc.send(owner, nonce=0)
    assert rpc.nonce(owner) == 2


def test_the_same_transaction_after_a_crash_is_already_known(start_node: StartNode) -> None:
    node, rpc = start_node()
    raw = sign(account(0))
    rpc("eth_sendRawTransaction", raw)
    node.kill()
    _, rpc = start_node()
    with pytest.raises(RpcError, match="already known"):
        rpc("eth_sendRawTransaction", raw)


def test_a_block_that_was_not_committed_leaves_no_trace(start_node: StartNode) -> None:
    """A writer that dies inside its transaction: SQLite rolls back, the node goes on at the old head."""
    node, rpc = start_node()
    rpc.mine(account(0))
    head = rpc("eth_getBlockByNumber", "latest", False)
    node.kill()
    path = node.data_dir / "chain.sqlite"
    half = sqlite3.connect(path, isolation_level=None)
    half.execute("BEGIN IMMEDIATE")
    half.execute("INSERT INTO block VALUES (99, x'00', x'00', x'00', x'00')")
    half.close()
    _, rpc = start_node()
    assert rpc("eth_getBlockByNumber", "latest", False) == head
    assert rpc("eth_getBlockByNumber", "0x63", False) is None


def test_sigterm_finishes_what_it_began(start_node: StartNode) -> None:
    node, rpc = start_node()
    counter = rpc.deploy(account(3), creation(COUNTER))
    answered: list[str] = []
    thread = threading.Thread(target=stream, args=(rpc.url, 0, counter, answered))
    thread.start()
    while len(answered) < 5:
        time.sleep(0.01)
    assert node.stop() == 0
    thread.join()
    assert not Path(f"{node.data_dir}/chain.sqlite-wal").exists()
    _, rpc = start_node()
    check_whole(rpc, answered, counter)


def test_a_second_process_is_kept_out(start_node: StartNode) -> None:
    node, rpc = start_node()
    second = Node(node.data_dir, funded=[account(number).address for number in range(4)])
    assert "is in use by another chain process" in second.failure()
    assert rpc("eth_chainId") == "0x515a"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"chain_id": 5}, "chain_id 20826, but 5 was asked for"),
        ({"funded": [account(9).address]}, "holds a chain with funded"),
    ],
)
def test_another_chain_is_refused(start_node: StartNode, changed: dict[str, Any], message: str) -> None:
    node, _ = start_node()
    node.stop()
    options: dict[str, Any] = {"funded": [account(number).address for number in range(4)], **changed}
    assert message in Node(node.data_dir, **options).failure()


def test_the_order_and_case_of_funded_addresses_do_not_matter(start_node: StartNode) -> None:
    node, rpc = start_node()
    genesis = rpc("eth_getBlockByNumber", "earliest", False)
    node.stop()
    funded = [account(number).address.lower() for number in (3, 2, 1, 0, 0)]
    _, rpc = start_node(funded=funded)
    assert rpc("eth_getBlockByNumber", "earliest", False) == genesis
    assert int(rpc("eth_getBalance", funded[0], "earliest"), 16) == 10**24
