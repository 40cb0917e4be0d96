"""Trees against the npm package that defines them, and against themselves."""

import json
import subprocess
from pathlib import Path

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from mereau.chain import merkle
from mereau.chain.hashing import keccak
from mereau.chain.merkle import Leaf

CONTRACTS = Path(__file__).parents[3] / "contracts"
PROGRAM = """
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const kinds = ["bytes32", "bytes32", "address", "uint256", "uint256"];
console.log(JSON.stringify(cases.map((rows) => {
  const tree = StandardMerkleTree.of(rows, kinds);
  return { root: tree.root, proofs: rows.map((_, index) => tree.getProof(index)) };
})));
"""

hashes = st.binary(min_size=32, max_size=32)
wallets = st.binary(min_size=20, max_size=20)
amounts = st.integers(min_value=0, max_value=2**64 - 1)


@st.composite
def leaf_lists(draw: st.DrawFn, most: int = 40) -> list[Leaf]:
    rows = draw(st.lists(st.tuples(hashes, hashes, wallets, amounts), min_size=1, max_size=most))
    return [Leaf(*row, index) for index, row in enumerate(rows)]


def some_leaves(count: int) -> list[Leaf]:
    return [
        Leaf(keccak(b"id%d" % i), keccak(b"record%d" % i), keccak(b"w%d" % i)[:20], i * 1_000, i) for i in range(count)
    ]


@pytest.mark.node
def test_roots_and_proofs_are_those_of_the_npm_package() -> None:
    cases = [some_leaves(count) for count in (1, 2, 3, 4, 5, 7, 8, 9, 50, 200)]
    rows = [
        [
            ["0x" + leaf.operation_id.hex(), "0x" + leaf.commitment.hex(), "0x" + leaf.wallet.hex(),
             str(leaf.amount), str(leaf.index)]
            for leaf in leaves
        ]
        for leaves in cases
    ]  # fmt: skip
    answer = subprocess.run(
        ["node", "-e", PROGRAM], cwd=CONTRACTS, input=json.dumps(rows), capture_output=True, text=True, check=True
    )  # fmt: skip
    for leaves, expected in zip(cases, json.loads(answer.stdout), strict=True):
        assert "0x" + merkle.root(leaves).hex() == expected["root"]
        for index, proof in enumerate(expected["proofs"]):
            assert ["0x" + node.hex() for node in merkle.proof(leaves, index)] == proof


def test_a_leaf_is_the_double_hash_of_its_abi_encoding() -> None:
    leaf = some_leaves(3)[2]
    encoded = encode(
        ["bytes32", "bytes32", "address", "uint256", "uint256"],
        [leaf.operation_id, leaf.commitment, leaf.wallet, leaf.amount, leaf.index],
    )
    assert leaf.hash() == keccak(keccak(encoded))


def test_an_operation_is_named_by_the_hash_of_its_id() -> None:
    assert merkle.operation_id("ent_01") == keccak(b"ent_01")


@settings(max_examples=60)
@given(leaves=leaf_lists())
def test_every_leaf_is_proven_by_its_own_path(leaves: list[Leaf]) -> None:
    root = merkle.root(leaves)
    for index, leaf in enumerate(leaves):
        assert merkle.verify(leaf, merkle.proof(leaves, index), root)


@settings(max_examples=60)
@given(leaves=leaf_lists(), data=st.data())
def test_no_other_amount_place_or_path_passes(leaves: list[Leaf], data: st.DataObject) -> None:
    root = merkle.root(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    leaf, path = leaves[index], merkle.proof(leaves, index)
    richer = Leaf(leaf.operation_id, leaf.commitment, leaf.wallet, leaf.amount + 1, leaf.index)
    moved = Leaf(leaf.operation_id, leaf.commitment, leaf.wallet, leaf.amount, leaf.index + 1)
    assert not merkle.verify(richer, path, root)
    assert not merkle.verify(moved, path, root)
    assert not merkle.verify(leaf, [*path, keccak(b"more")], root)
    assert not merkle.verify(leaf, path, keccak(root))


@given(leaves=leaf_lists(12), data=st.data())
def test_the_root_commits_to_every_leaf(leaves: list[Leaf], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    changed = list(leaves)
    old = changed[index]
    changed[index] = Leaf(old.operation_id, keccak(old.commitment), old.wallet, old.amount, old.index)
    assert merkle.root(changed) != merkle.root(leaves)


def test_there_is_no_tree_without_leaves() -> None:
    with pytest.raises(ValueError, match="needs a leaf"):
        merkle.root([])
