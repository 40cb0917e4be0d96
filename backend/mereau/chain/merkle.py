"""Merkle trees of operations, as OpenZeppelin's StandardMerkleTree builds and MerkleProof.sol verifies them.

A leaf is keccak(keccak(abi.encode(bytes32 operationId, bytes32 commitment, address wallet, uint256 amount,
uint256 index))): hashed twice, so that no inner node passes for a leaf. Leaves are sorted by hash and pairs are
hashed smaller first, so that a proof needs no directions (https://github.com/OpenZeppelin/merkle-tree).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mereau.chain.hashing import keccak


@dataclass(frozen=True, slots=True)
class Leaf:
    """One operation of a batch: `index` is its place in the packed list, `amount` whole tokens."""

    operation_id: bytes
    commitment: bytes
    wallet: bytes
    amount: int
    index: int

    def hash(self) -> bytes:
        """The leaf's node in the tree."""
        return keccak(
            keccak(
                self.operation_id
                + self.commitment
                + self.wallet.rjust(32, b"\0")
                + self.amount.to_bytes(32, "big")
                + self.index.to_bytes(32, "big")
            )
        )


def operation_id(order_id: str) -> bytes:
    """The 32-byte name under which an order stands in the trail."""
    return keccak(order_id.encode())


def root(leaves: Sequence[Leaf]) -> bytes:
    """The trail root of a batch; at least one leaf."""
    return _tree([leaf.hash() for leaf in leaves])[0]


def proof(leaves: Sequence[Leaf], index: int) -> list[bytes]:
    """The siblings from `leaves[index]` up to the root."""
    hashes = [leaf.hash() for leaf in leaves]
    tree = _tree(hashes)
    node = tree.index(hashes[index], len(hashes) - 1)
    path = []
    while node > 0:
        path.append(tree[node + 1 if node % 2 else node - 1])
        node = (node - 1) // 2
    return path


def verify(leaf: Leaf, path: Sequence[bytes], trail_root: bytes) -> bool:
    """Whether `path` leads from the leaf to the root."""
    node = leaf.hash()
    for sibling in path:
        node = _pair(node, sibling)
    return node == trail_root


def _pair(one: bytes, other: bytes) -> bytes:
    return keccak(one + other if one < other else other + one)


def _tree(hashes: list[bytes]) -> list[bytes]:
    """The complete binary tree as an array: children of i at 2i + 1 and 2i + 2, the sorted leaves last, reversed."""
    if not hashes:
        raise ValueError("a tree needs a leaf")
    inner = len(hashes) - 1
    tree = [b""] * inner + sorted(hashes, reverse=True)
    for i in range(inner - 1, -1, -1):
        tree[i] = _pair(tree[2 * i + 1], tree[2 * i + 2])
    return tree
