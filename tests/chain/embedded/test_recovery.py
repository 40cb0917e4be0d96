"""The chain opened again on what it left: the same head, the same queue, the same clock; and damaged files."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_utils import keccak

from chain.embedded.assembler import COUNTER, assemble, creation, words
from chain.embedded.support import CHAIN_ID, account, sign
from mereau.chain.embedded import methods
from mereau.chain.embedded.chain import ChainConfig, EmbeddedChain
from mereau.chain.embedded.errors import ChainError, LimitExceededError
from mereau.chain.embedded.store import ChainStore
from mereau.chain.embedded.transactions import decode_transaction

OWNERS = [account(number) for number in range(3)]
CONFIG = ChainConfig(chain_id=CHAIN_ID, funded=tuple(bytes.fromhex(one.address[2:]) for one in OWNERS))
HASH_AT = assemble("0 CALLDATALOAD BLOCKHASH 0 MSTORE 32 0 RETURN")

Open = Callable[[], EmbeddedChain]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the chain of the test's directory, closing the one before: what a restart does."""
    stores: list[ChainStore] = []

    def open_again() -> EmbeddedChain:
        if stores:
            stores.pop().close()
        stores.append(ChainStore(tmp_path))
        return EmbeddedChain(stores[-1], CONFIG)

    yield open_again
    for store in stores:
        store.close()


def raw(number: int = 0, **fields: Any) -> bytes:
    return bytes.fromhex(sign(OWNERS[number], **fields)[2:])


def contract_of(number: int, nonce: int) -> bytes:
    return keccak(rlp.encode([CONFIG.funded[number], nonce]))[12:]


def call(chain: EmbeddedChain, target: bytes, data: bytes) -> bytes:
    question = decode_transaction(raw(2, to="0x" + target.hex(), data=data), chain_id=CHAIN_ID)
    outcome = chain.call(chain.head.header, question)
    assert outcome.succeeded
    return outcome.output


def test_an_empty_chain_opens_as_itself(opened: Open) -> None:
    genesis = opened().head
    assert genesis.header.number == 0
    assert opened().head == genesis


def test_head_state_and_queue_are_what_they_were(opened: Open) -> None:
    chain = opened()
    chain.submit([raw(nonce=0, to=None, data=creation(COUNTER), gas=1_000_000)])
    counter = "0x" + contract_of(0, 0).hex()
    chain.submit([raw(nonce=1, to=counter, data=words(4, 4, 9)), raw(1, nonce=2), raw(1, nonce=1)])
    head, root = chain.head, chain.head.header.state_root
    again = opened()
    assert (again.head, again.head.header.state_root) == (head, root)
    assert again.world_at(again.head.header).get_nonce(CONFIG.funded[0]) == 2
    # The gap closes, and what waited over the restart is mined with it.
    again.submit([raw(1, nonce=0)])
    assert again.world_at(again.head.header).get_nonce(CONFIG.funded[1]) == 3
    assert again.store.queued() == []


def test_a_replacement_is_what_waits_after_the_restart(opened: Open) -> None:
    chain = opened()
    cheap, dear = raw(nonce=1), raw(nonce=1, maxFeePerGas=20 * 10**9, maxPriorityFeePerGas=2 * 10**9)
    chain.submit([cheap])
    chain.submit([dear])
    again = opened()
    assert again.store.queued() == [dear]
    (known,) = again.submit([dear])
    assert isinstance(known, ChainError)
    assert "already known" in str(known)


def test_a_clock_that_was_moved_stays_moved(opened: Open) -> None:
    chain = opened()
    chain.increase_time(86_400)
    chain.mine_empty()
    later = chain.head.header.timestamp
    again = opened()
    again.mine_empty()
    assert later < again.head.header.timestamp < later + 600


@pytest.mark.parametrize("seed", range(4))
def test_restarts_at_any_moment_change_nothing_in_the_end(opened: Open, tmp_path: Path, seed: int) -> None:
    """Any split of the same work over restarts ends in the same accounts."""
    source = random.Random(seed)
    work = [raw(number, nonce=nonce, value=nonce + 1) for number in range(2) for nonce in range(6)]
    source.shuffle(work)
    chain = opened()
    while work:
        count = source.randint(1, 4)
        part, work = work[:count], work[count:]
        assert all(isinstance(answer, bytes) for answer in chain.submit(part))
        if source.random() < 0.5:
            chain = opened()
    state = chain.world_at(chain.head.header)
    assert [state.get_nonce(owner) for owner in CONFIG.funded] == [6, 6, 0]
    assert state.get_balance(b"\x5a" * 20) == 2 * sum(range(1, 7))
    assert chain.store.queued() == []


@pytest.mark.parametrize("ahead", [1, 2, 5, 256, 257, 300])
def test_the_hashes_of_256_ancestors_are_at_hand(opened: Open, ahead: int) -> None:
    chain = opened()
    chain.submit([raw(nonce=0, to=None, data=creation(HASH_AT), gas=1_000_000)])
    for _ in range(ahead):
        chain.mine_empty()
    head = chain.head.header.number
    found = {number: call(chain, contract_of(0, 0), words(number)) for number in (0, 1, head - 1, head, head + 7)}
    for number, digest in found.items():
        row = chain.store.block(number)
        seen = row is not None and head - number <= 256 and number < head
        assert digest == (row.digest if seen and row is not None else bytes(32)), number


def test_a_filter_for_one_address_leaves_the_blocks_other_logs_out(opened: Open) -> None:
    chain = opened()
    chain.submit([raw(number, nonce=0, to=None, data=creation(COUNTER), gas=1_000_000) for number in (0, 1)])
    targets = ["0x" + contract_of(number, 0).hex() for number in (0, 1)]
    chain.submit([raw(number, nonce=1, to=targets[number], data=words(*range(number + 2))) for number in (0, 1)])
    found = [methods_logs(chain, address=target) for target in targets]
    assert [[log["address"] for log in logs] for logs in found] == [[targets[0]] * 2, [targets[1]] * 3]
    assert [[int(log["logIndex"], 16) for log in logs] for logs in found] == [[0, 1], [2, 3, 4]]
    assert len(methods_logs(chain)) == 5
    assert methods_logs(chain, topics=[None, None, None, None]) == []


def methods_logs(chain: EmbeddedChain, **criteria: Any) -> list[dict[str, Any]]:
    return list(methods.logs(chain, {"fromBlock": "0x0", "toBlock": "latest", **criteria}))


def test_too_many_logs_are_refused_as_a_whole(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = opened()
    chain.submit([raw(nonce=0, to=None, data=creation(COUNTER), gas=1_000_000)])
    chain.submit([raw(nonce=1, to="0x" + contract_of(0, 0).hex(), data=words(1, 2, 3))])
    monkeypatch.setattr(methods, "LOGS_MAX", 3)
    assert len(methods_logs(chain)) == 3
    monkeypatch.setattr(methods, "LOGS_MAX", 2)
    with pytest.raises(LimitExceededError, match="more than 2 results"):
        methods_logs(chain)


def test_a_head_that_does_not_match_its_nodes_is_not_served_as_empty(opened: Open, tmp_path: Path) -> None:
    """A file cut by other hands: an absent node is an error, never a zero balance."""
    chain = opened()
    chain.submit([raw(nonce=0, value=5)])
    header = chain.head.header
    with sqlite3.connect(tmp_path / "chain.sqlite") as damage:
        damage.execute("DELETE FROM node WHERE digest = ?", (header.state_root,))
    damage.close()
    with pytest.raises(KeyError):
        opened().world_at(header).get_balance(CONFIG.funded[0])
