"""The batched trie against the trie library: same roots, same values, proofs that the library accepts."""

import pytest
import rlp
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie

from mereau.chain.embedded.trie import BLANK_ROOT, NoNodes, Trie, ordered_root

# Few different nibbles, so that paths share, split and collapse; values on both sides of the 32-byte bound
# under which a node is embedded in its parent.
KEYS = st.lists(st.sampled_from([0x00, 0x01, 0x10, 0x11, 0xF0, 0xFF]), min_size=3, max_size=3).map(bytes)
VALUES = st.one_of(st.just(b""), st.binary(min_size=1, max_size=3), st.binary(min_size=33, max_size=50))
BATCHES = st.lists(st.dictionaries(KEYS, VALUES, min_size=1, max_size=20), min_size=1, max_size=6)


class Nodes:
    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}

    def node(self, digest: bytes) -> bytes:
        return self.stored[digest]

    def update(self, root: bytes, changes: dict[bytes, bytes]) -> bytes:
        trie = Trie(self)
        after = trie.update(root, changes)
        self.stored.update(trie.fresh)
        return after


@settings(max_examples=60)
@given(BATCHES)
def test_batches_lead_to_the_librarys_roots_and_values(batches: list[dict[bytes, bytes]]) -> None:
    nodes, root, library = Nodes(), BLANK_ROOT, HexaryTrie({})
    for batch in batches:
        root = nodes.update(root, batch)
        for key, value in batch.items():
            library[key] = value
        assert root == library.root_hash
        assert all(Trie(nodes).get(root, key) == library[key] for changes in batches for key in changes)


@settings(max_examples=60)
@given(BATCHES, KEYS)
def test_proofs_convince_the_library(batches: list[dict[bytes, bytes]], absent: bytes) -> None:
    nodes, root = Nodes(), BLANK_ROOT
    expected: dict[bytes, bytes] = {}
    for batch in batches:
        root = nodes.update(root, batch)
        expected.update(batch)
    for key in [*expected, absent]:
        proof = [rlp.decode(node) for node in Trie(nodes).proof(root, key)]
        if root != BLANK_ROOT:
            assert HexaryTrie.get_from_proof(root, key, proof) == expected.get(key, b"")
        else:
            assert proof == []


@settings(max_examples=60)
@given(BATCHES)
def test_old_roots_stay_readable(batches: list[dict[bytes, bytes]]) -> None:
    nodes, root = Nodes(), BLANK_ROOT
    history: list[tuple[bytes, dict[bytes, bytes]]] = []
    state: dict[bytes, bytes] = {}
    for batch in batches:
        root = nodes.update(root, batch)
        state = {**state, **batch}
        history.append((root, state))
    for then, values in history:
        assert all(Trie(nodes).get(then, key) == value for key, value in values.items())


@settings(max_examples=40)
@given(st.lists(st.binary(min_size=1, max_size=60), max_size=300))
def test_a_list_has_the_root_that_blocks_give_it(values: list[bytes]) -> None:
    library = HexaryTrie({})
    for index, value in enumerate(values):
        library[rlp.encode(index)] = value
    assert ordered_root(values) == library.root_hash


def test_order_matters_in_a_list() -> None:
    assert ordered_root([b"a", b"b"]) != ordered_root([b"b", b"a"])


def test_deleting_everything_leads_back_to_the_blank_root() -> None:
    nodes = Nodes()
    keys = [bytes((index, index)) for index in range(40)]
    root = nodes.update(BLANK_ROOT, dict.fromkeys(keys, b"v" * 40))
    assert root != BLANK_ROOT
    assert nodes.update(root, dict.fromkeys(keys, b"")) == BLANK_ROOT
    assert nodes.update(BLANK_ROOT, dict.fromkeys(keys, b"")) == BLANK_ROOT


def test_a_missing_node_is_an_error_not_an_absence() -> None:
    nodes = Nodes()
    root = nodes.update(BLANK_ROOT, {bytes((index, 1)): b"v" * 40 for index in range(20)})
    with pytest.raises(KeyError):
        Trie(NoNodes()).get(root, b"\1\1")
