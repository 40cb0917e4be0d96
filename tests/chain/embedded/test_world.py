"""The world against py-evm's account database: a machine drives both and compares all they answer."""

from typing import Any

import pytest
from eth.db.account import AccountDB
from eth.db.atomic import AtomicDB
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mereau.chain.embedded.trie import BLANK_ROOT
from mereau.chain.embedded.world import World

ADDRESSES = st.sampled_from([bytes((index,)) * 20 for index in (1, 2, 3)])
SLOTS = st.sampled_from([0, 1, 2, 2**255])
VALUES = st.sampled_from([0, 1, 127, 128, 255, 256, 2**256 - 1])


class Nodes:
    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}

    def node(self, digest: bytes) -> bytes:
        return self.stored[digest]


class WorldMachine(RuleBasedStateMachine):
    """Every rule changes both; the oracle is py-evm's AccountDB over its own trie."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = Nodes()
        self.world = World(self.nodes, BLANK_ROOT)
        self.oracle: Any = AccountDB(AtomicDB())
        self.snapshots: list[tuple[int, Any]] = []
        self._begin()

    def _begin(self) -> None:
        self.world.begin_transaction()
        self.oracle.lock_changes()
        self.snapshots = []

    @rule(address=ADDRESSES, slot=SLOTS, value=VALUES)
    def store(self, address: bytes, slot: int, value: int) -> None:
        self.world.set_storage(address, slot, value)
        self.oracle.set_storage(address, slot, value)

    @rule(address=ADDRESSES, value=VALUES)
    def fund(self, address: bytes, value: int) -> None:
        self.world.set_balance(address, value)
        self.oracle.set_balance(address, value)

    @rule(address=ADDRESSES)
    def count(self, address: bytes) -> None:
        self.world.increment_nonce(address)
        self.oracle.increment_nonce(address)

    @rule(address=ADDRESSES, nonce=st.integers(0, 3))
    def renumber(self, address: bytes, nonce: int) -> None:
        self.world.set_nonce(address, nonce)
        self.oracle.set_nonce(address, nonce)

    @rule(address=ADDRESSES, code=st.sampled_from([b"", b"\1", b"\2" * 60]))
    def install(self, address: bytes, code: bytes) -> None:
        self.world.set_code(address, code)
        self.oracle.set_code(address, code)

    @rule(address=ADDRESSES)
    def uninstall(self, address: bytes) -> None:
        self.world.delete_code(address)
        self.oracle.delete_code(address)

    @rule(address=ADDRESSES)
    def touch(self, address: bytes) -> None:
        self.world.touch_account(address)
        self.oracle.touch_account(address)

    @rule(address=ADDRESSES, slot=SLOTS)
    def warm(self, address: bytes, slot: int) -> None:
        for state in (self.world, self.oracle):
            state.mark_address_warm(address)
            state.mark_storage_warm(address, slot)

    @rule()
    def snapshot(self) -> None:
        self.snapshots.append((self.world.snapshot(), self.oracle.record()))

    @precondition(lambda self: self.snapshots)
    @rule()
    def revert(self) -> None:
        mine, theirs = self.snapshots.pop()
        self.world.revert(mine)
        self.oracle.discard(theirs)

    @precondition(lambda self: self.snapshots)
    @rule()
    def keep(self) -> None:
        self.oracle.commit(self.snapshots.pop()[1])

    @precondition(lambda self: not self.snapshots)
    @rule()
    def next_transaction(self) -> None:
        self._begin()

    @precondition(lambda self: not self.snapshots)
    @rule()
    def seal(self) -> None:
        root, nodes = self.world.seal()
        self.nodes.stored.update(nodes)
        self.oracle.persist()
        assert root == self.oracle.state_root
        self.world = World(self.nodes, root)
        self._begin()

    @invariant()
    def answers_agree(self) -> None:
        for address in (bytes((index,)) * 20 for index in (1, 2, 3)):
            for question in (
                "get_balance", "get_nonce", "get_code", "get_code_hash", "account_exists",
                "account_is_empty", "account_has_code_or_nonce", "is_address_warm",
            ):  # fmt: skip
                assert getattr(self.world, question)(address) == getattr(self.oracle, question)(address)
            for slot in (0, 1, 2, 2**255):
                for current in (True, False):
                    mine = self.world.get_storage(address, slot, from_journal=current)
                    assert mine == self.oracle.get_storage(address, slot, from_journal=current)
                assert self.world.is_storage_warm(address, slot) == self.oracle.is_storage_warm(address, slot)


WorldMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestWorld = WorldMachine.TestCase


def test_a_deleted_account_loses_its_storage_and_gets_it_back_by_a_revert() -> None:
    nodes, address = Nodes(), b"\7" * 20
    world = World(nodes, BLANK_ROOT)
    world.set_balance(address, 5)
    world.set_storage(address, 1, 9)
    root, fresh = world.seal()
    nodes.stored.update(fresh)
    world = World(nodes, root)
    before = world.snapshot()
    world.delete_account(address)
    assert not world.account_exists(address)
    assert world.get_storage(address, 1) == 0
    assert world.storage_root(address) == BLANK_ROOT
    world.revert(before)
    assert (world.get_balance(address), world.get_storage(address, 1)) == (5, 9)
    assert world.seal()[0] == root


def test_a_deleted_account_is_gone_from_the_root() -> None:
    nodes, address = Nodes(), b"\7" * 20
    world = World(nodes, BLANK_ROOT)
    world.set_balance(address, 5)
    root, fresh = world.seal()
    nodes.stored.update(fresh)
    world = World(nodes, root)
    world.delete_account(address)
    assert world.seal()[0] == BLANK_ROOT


def test_an_account_that_comes_back_finds_its_storage_empty() -> None:
    nodes, address = Nodes(), b"\7" * 20
    world = World(nodes, BLANK_ROOT)
    world.set_storage(address, 1, 9)
    world.set_balance(address, 5)
    world.delete_account(address)
    world.set_balance(address, 6)
    assert world.get_storage(address, 1) == 0
    assert world.storage_root(address) == BLANK_ROOT


def test_transient_slots_end_with_the_transaction() -> None:
    world, address = World(Nodes(), BLANK_ROOT), b"\7" * 20
    world.set_transient_storage(address, 1, b"\5")
    before = world.snapshot()
    world.set_transient_storage(address, 1, b"\6")
    world.revert(before)
    assert world.get_transient_storage(address, 1) == b"\5"
    world.begin_transaction()
    assert world.get_transient_storage(address, 1) == b""


def test_code_that_is_not_stored_is_an_error() -> None:
    nodes = Nodes()
    world = World(nodes, BLANK_ROOT)
    world.set_code(b"\7" * 20, b"\1\2")
    root, fresh = world.seal()
    nodes.stored.update({digest: node for digest, node in fresh.items() if node != b"\1\2"})
    with pytest.raises(KeyError):
        World(nodes, root).get_code(b"\7" * 20)
