"""Checks of Merkle-Patricia proofs (EIP-1186): what `eth_getProof` answers, held against a state root."""

from collections.abc import Sequence
from typing import Final

from mereau_verify.evm import Rlp, keccak, rlp_decode

_BRANCH: Final = 17
_SHORT: Final = 2
EMPTY_ROOT: Final = keccak(b"\x80")


class ProofError(ValueError):
    """The proof does not lead from the root to the value it claims."""


def _nibbles(key: bytes) -> list[int]:
    return [half for byte in key for half in (byte >> 4, byte & 15)]


def _path(encoded: bytes) -> tuple[list[int], bool]:
    nibbles = _nibbles(encoded)
    if not nibbles:
        raise ProofError("a proof node has no path")
    is_leaf = nibbles[0] >= 2  # noqa: PLR2004  (hex-prefix flag: 0 and 1 extension, 2 and 3 leaf)
    return nibbles[1 if nibbles[0] & 1 else 2 :], is_leaf


def _as_bytes(item: Rlp) -> bytes:
    if isinstance(item, bytes):
        return item
    raise ProofError("bytes expected in a proof node")


def _node(reference: Rlp, proof: dict[bytes, bytes]) -> list[Rlp]:
    """The node that a reference names: embedded where it is short, else one of the proof's, by its hash."""
    if isinstance(reference, list):
        return reference
    encoded = proof.get(reference)
    if encoded is None:
        raise ProofError(f"no proof node hashes to 0x{reference.hex()}")
    node = rlp_decode(encoded)
    if not isinstance(node, list):
        raise ProofError("a proof node is no list")
    return node


def proven_value(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """The value under `key` (already hashed) in the trie with this root, or None where absence is proven.

    Raises ProofError when the nodes prove neither.
    """
    if root == EMPTY_ROOT:
        return None
    proof = {keccak(node): node for node in nodes}
    rest = _nibbles(key)
    reference: Rlp = root
    while True:
        if reference == b"":
            return None
        node = _node(reference, proof)
        if len(node) == _BRANCH:
            if not rest:
                return _as_bytes(node[16]) or None
            reference, rest = node[rest[0]], rest[1:]
            continue
        if len(node) != _SHORT:
            raise ProofError(f"a proof node of {len(node)} items")
        path, is_leaf = _path(_as_bytes(node[0]))
        if is_leaf:
            return _as_bytes(node[1]) if path == rest else None
        if rest[: len(path)] != path:
            return None
        reference, rest = node[1], rest[len(path) :]


def proven_account(root: bytes, address: bytes, nodes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """(storage root, code hash) of an account that exists under this state root."""
    value = proven_value(root, keccak(address), nodes)
    if value is None:
        raise ProofError(f"no account 0x{address.hex()} under the state root")
    fields = rlp_decode(value)
    if not isinstance(fields, list) or len(fields) != 4:  # noqa: PLR2004  (nonce, balance, storage, code)
        raise ProofError("an account has four fields")
    return _as_bytes(fields[2]), _as_bytes(fields[3])


def proven_word(storage_root: bytes, slot: bytes, nodes: Sequence[bytes]) -> int:
    """The storage word at `slot`; an absent slot is zero."""
    value = proven_value(storage_root, keccak(slot), nodes)
    return 0 if value is None else int.from_bytes(_as_bytes(rlp_decode(value)), "big")
