"""Trail roots in the format of OpenZeppelin's StandardMerkleTree: double-hashed leaves, sorted pairs."""

from collections.abc import Iterable

from mereau_verify.evm import keccak


def leaf_hash(operation_id: bytes, commitment: bytes, wallet: bytes, tokens: int, index: int) -> bytes:
    """Leaf over (bytes32 operationId, bytes32 commitment, address wallet, uint256 amount, uint256 index)."""
    words = operation_id + commitment + wallet.rjust(32, b"\0") + tokens.to_bytes(32, "big") + index.to_bytes(32, "big")
    return keccak(keccak(words))


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """Root of the complete binary tree that keeps its leaves, sorted, in reverse order at the array's end."""
    ordered = sorted(leaves)
    if not ordered:
        return bytes(32)
    count = len(ordered)
    tree = [b""] * (count - 1) + ordered[::-1]
    for index in range(count - 2, -1, -1):
        left, right = tree[2 * index + 1], tree[2 * index + 2]
        tree[index] = keccak(left + right if left < right else right + left)
    return tree[0]
