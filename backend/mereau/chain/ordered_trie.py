"""The root of a block's receipts or transactions: a Merkle-Patricia trie over rlp(0), rlp(1), rlp(2), ...

Built once from all values and thrown away, so there are no nodes to look up and nothing to store. The keys
are prefix-free, so no branch holds a value (Yellow Paper, appendix D).
"""

from collections.abc import Sequence
from typing import Final

from mereau.chain import rlp
from mereau.chain.hashing import keccak

EMPTY_ROOT: Final = keccak(rlp.string(b""))
_HASH_SIZE: Final = 32
_NIBBLES: Final = "0123456789abcdef"
_EMPTY_CHILD: Final = rlp.string(b"")

_Item = tuple[str, bytes]


def ordered_root(values: Sequence[bytes]) -> bytes:
    """keccak-256 of the root node over `values` in their order; the well-known empty root for none."""
    if not values:
        return EMPTY_ROOT
    items = sorted((rlp.integer(index).hex(), value) for index, value in enumerate(values))
    return keccak(_node(items, 0))


def _node(items: Sequence[_Item], depth: int) -> bytes:
    """The encoded node over `items`, sorted, whose keys agree in their first `depth` nibbles."""
    first = items[0][0]
    if len(items) == 1:
        path = _hex_prefix(first[depth:], leaf=True)
        return rlp.wrap(rlp.string(path) + rlp.string(items[0][1]))
    shared = _shared(first, items[-1][0], depth)
    branch = _branch(items, shared)
    if shared == depth:
        return branch
    return rlp.wrap(rlp.string(_hex_prefix(first[depth:shared], leaf=False)) + _reference(branch))


def _branch(items: Sequence[_Item], depth: int) -> bytes:
    children: dict[str, list[_Item]] = {}
    for item in items:
        children.setdefault(item[0][depth], []).append(item)
    members = [
        _reference(_node(children[nibble], depth + 1)) if nibble in children else _EMPTY_CHILD for nibble in _NIBBLES
    ]
    return rlp.wrap(b"".join(members) + _EMPTY_CHILD)


def _reference(node: bytes) -> bytes:
    """A node inside its parent: itself while shorter than a hash, else its hash."""
    return node if len(node) < _HASH_SIZE else rlp.string(keccak(node))


def _shared(first: str, last: str, depth: int) -> int:
    """How many leading nibbles all keys between `first` and `last` have in common; they are sorted."""
    while first[depth] == last[depth]:
        depth += 1
    return depth


def _hex_prefix(nibbles: str, *, leaf: bool) -> bytes:
    flag = 2 if leaf else 0
    return bytes.fromhex(f"{flag + 1}{nibbles}" if len(nibbles) % 2 else f"{flag}0{nibbles}")
