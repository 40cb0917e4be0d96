"""Block times: strictly rising, near the wall clock, and movable on development chains only."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chain.embedded.assembler import CONTEXT, creation
from chain.embedded.support import CHAIN_ID, Client, Node, RpcError, account, sign
from mereau.chain.embedded.chain import ChainConfig, EmbeddedChain
from mereau.chain.embedded.store import ChainStore

YEAR_S = 365 * 86_400
StartNode = Callable[..., tuple[Node, Client]]


def head_time(rpc: Client) -> int:
    return int(rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    """The chain without its server, to ask for the pace without waiting for it."""
    store = ChainStore(tmp_path)
    config = ChainConfig(chain_id=CHAIN_ID, funded=(bytes.fromhex(account(0).address[2:]),))
    yield EmbeddedChain(store, config)
    store.close()


def test_a_block_bears_the_wall_clocks_second(start_node: StartNode) -> None:
    _, rpc = start_node(development=False)
    before = int(time.time())
    while int(time.time()) == before:
        time.sleep(0.01)
    rpc.mine(account(0))
    assert abs(head_time(rpc) - time.time()) < 5


def test_blocks_of_one_second_run_ahead_by_one_second_each(chain: EmbeddedChain) -> None:
    times = []
    for nonce in range(8):
        chain.submit([bytes.fromhex(sign(account(0), nonce=nonce)[2:])])
        times.append(chain.head.header.timestamp)
    assert times == sorted(set(times))
    assert times[-1] - times[0] <= 8


def test_far_ahead_mining_slows_down_to_the_clocks_pace(chain: EmbeddedChain) -> None:
    """However many blocks are asked for, the delay grows to the second that each block adds."""
    assert chain.pacing_delay_s() == 0
    delays = []
    for _ in range(260):
        chain.mine_empty()
        delays.append(chain.pacing_delay_s())
    assert delays[100] == 0
    assert 0 < delays[180] < 1
    assert delays[-1] == 1
    assert max(delays) == 1


def test_transactions_that_arrive_together_share_a_block(chain: EmbeddedChain) -> None:
    before = chain.head.header.number
    answers = chain.submit([bytes.fromhex(sign(account(0), nonce=nonce)[2:]) for nonce in range(20)])
    assert all(isinstance(answer, bytes) for answer in answers)
    assert chain.head.header.number == before + 1


def test_a_development_chain_moves_its_clock(start_node: StartNode) -> None:
    node, rpc = start_node()
    contract = rpc.deploy(account(0), creation(CONTEXT))
    before = head_time(rpc)
    assert rpc("evm_increaseTime", YEAR_S) == YEAR_S
    assert rpc("evm_mine") == "0x0"
    # The head before was itself a second or two ahead of the clock.
    assert -5 <= head_time(rpc) - before - YEAR_S < 600
    seen = rpc("eth_call", {"to": contract}, "latest")
    assert int(seen[66:130], 16) == head_time(rpc)
    assert rpc("evm_increaseTime", "0x3c") == YEAR_S + 60
    node.kill()
    _, rpc = start_node()
    # A clock moved a year ahead is not blocks that ran ahead: mining goes on without waiting for the year.
    for _ in range(3):
        rpc.mine(account(0))
    assert head_time(rpc) >= before + YEAR_S - 5
    assert rpc("evm_increaseTime", "0x0") >= YEAR_S - 600
    number = int(rpc("eth_blockNumber"), 16)
    rpc("evm_mine")
    assert int(rpc("eth_blockNumber"), 16) == number + 1


@pytest.mark.parametrize("step", [-1, 10**12, "1", 1.5, None, True, "0x" + "f" * 64])
def test_a_step_that_makes_no_sense_is_refused(rpc: Client, step: object) -> None:
    with pytest.raises(RpcError):
        rpc("evm_increaseTime", step)


@pytest.mark.parametrize("method", ["evm_mine", "evm_increaseTime"])
def test_a_real_chain_does_not_let_anybody_move_its_clock(start_node: StartNode, method: str) -> None:
    _, rpc = start_node(development=False)
    with pytest.raises(RpcError) as refusal:
        rpc(method, *([1] if method == "evm_increaseTime" else []))
    assert refusal.value.code == -32601
