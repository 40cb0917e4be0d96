"""The Merkle-Patricia trie, read one key at a time and written one batch at a time.

A block changes hundreds of slots at once. Writing them together hashes every touched node once, where a
trie library hashes the path to the root again for every key. Keys must be prefix-free (all of one length,
or RLP integers), so no branch ever holds a value.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from eth_hash.auto import keccak

from mereau.chain.embedded.codec import Decoded, decode_list, encode, encode_int

BLANK_ROOT = keccak(encode(b""))

# A node is a branch (17 members) or a pair of a hex-prefix path and a value or reference.
Node = list[Decoded]
Change = tuple[str, bytes]

_BRANCH = 17
_LEAF = 2  # the hex-prefix flag: leaf, against extension
_HASH = 32


class NodeReader(Protocol):
    def node(self, digest: bytes) -> bytes:
        """The encoded node, or code, whose keccak-256 is `digest`; KeyError if it is not stored."""


class NoNodes:
    """The reader of a trie that starts empty."""

    def node(self, digest: bytes) -> bytes:
        raise KeyError(digest)


def _pack(path: str, *, leaf: bool) -> bytes:
    flag = _LEAF if leaf else 0
    return bytes.fromhex(f"{flag + 1}{path}" if len(path) % 2 else f"{flag}0{path}")


def _unpack(packed: bytes) -> tuple[str, bool]:
    nibbles = packed.hex()
    flag = int(nibbles[0], 16)
    return nibbles[1 if flag & 1 else 2 :], flag >= _LEAF


def _common(left: str, right: str) -> int:
    length = min(len(left), len(right))
    for index in range(length):
        if left[index] != right[index]:
            return index
    return length


def _path(node: Node) -> tuple[str, bool]:
    return _unpack(cast("bytes", node[0]))


class Trie:
    """One trie over stored nodes. `fresh` collects the nodes that an update made, for the caller to store."""

    def __init__(self, nodes: NodeReader) -> None:
        self._nodes = nodes
        self.fresh: dict[bytes, bytes] = {}

    def get(self, root: bytes, key: bytes) -> bytes:
        """The value at `key`, empty if there is none."""
        value, _ = self._walk(root, key)
        return value

    def proof(self, root: bytes, key: bytes) -> list[bytes]:
        """The encoded nodes from the root towards `key` (EIP-1186); they prove absence as well."""
        _, nodes = self._walk(root, key)
        return nodes

    def update(self, root: bytes, changes: Mapping[bytes, bytes]) -> bytes:
        """The root after all changes; an empty value deletes its key."""
        items = sorted((key.hex(), value) for key, value in changes.items())
        node = None if root == BLANK_ROOT else decode_list(self._load(root))
        new = self._update(node, items)
        if new is None:
            return BLANK_ROOT
        encoded = encode(new)
        digest = keccak(encoded)
        self.fresh[digest] = encoded
        return digest

    def _load(self, digest: bytes) -> bytes:
        encoded = self.fresh.get(digest)
        return encoded if encoded is not None else self._nodes.node(digest)

    def _walk(self, root: bytes, key: bytes) -> tuple[bytes, list[bytes]]:
        nodes: list[bytes] = []
        rest = key.hex()
        reference: Decoded = b"" if root == BLANK_ROOT else root
        while reference:
            if isinstance(reference, bytes):
                encoded = self._load(reference)
                nodes.append(encoded)
                reference = decode_list(encoded)
            if len(reference) == _BRANCH:
                reference, rest = reference[int(rest[0], 16)], rest[1:]
                continue
            path, leaf = _path(reference)
            if leaf:
                return (cast("bytes", reference[1]) if rest == path else b""), nodes
            if not rest.startswith(path):
                break
            reference, rest = reference[1], rest[len(path) :]
        return b"", nodes

    def _resolve(self, reference: Decoded) -> Node | None:
        if isinstance(reference, bytes):
            return decode_list(self._load(reference)) if reference else None
        return reference

    def _refer(self, node: Node) -> Decoded:
        encoded = encode(node)
        if len(encoded) < _HASH:
            return node
        digest = keccak(encoded)
        self.fresh[digest] = encoded
        return digest

    def _update(self, node: Node | None, items: Sequence[Change]) -> Node | None:
        if node is None:
            return self._build([item for item in items if item[1]])
        if len(node) == _BRANCH:
            return self._update_branch(node, items)
        path, leaf = _path(node)
        if leaf:
            merged = dict(items)
            merged.setdefault(path, cast("bytes", node[1]))
            return self._build(sorted(item for item in merged.items() if item[1]))
        shared = min(_common(path, items[0][0]), _common(path, items[-1][0]))
        inner = [(key[shared:], value) for key, value in items]
        if shared == len(path):
            return self._extend(path, self._update(self._resolve(node[1]), inner))
        rest = path[shared + 1 :]
        branch: Node = [b""] * _BRANCH
        below: Node = [_pack(rest, leaf=False), node[1]]
        branch[int(path[shared], 16)] = self._refer(below) if rest else node[1]
        return self._extend(path[:shared], self._update_branch(branch, inner))

    def _build(self, items: Sequence[Change]) -> Node | None:
        if not items:
            return None
        if len(items) == 1:
            key, value = items[0]
            return [_pack(key, leaf=True), value]
        shared = _common(items[0][0], items[-1][0])
        inner = [(key[shared:], value) for key, value in items]
        return self._extend(items[0][0][:shared], self._update_branch([b""] * _BRANCH, inner))

    def _update_branch(self, branch: Node, items: Sequence[Change]) -> Node | None:
        groups: dict[int, list[Change]] = {}
        for key, value in items:
            groups.setdefault(int(key[0], 16), []).append((key[1:], value))
        changed = {nibble: self._update(self._resolve(branch[nibble]), group) for nibble, group in groups.items()}
        new = list(branch)
        for nibble, child in changed.items():
            new[nibble] = b"" if child is None else b"?"
        alive = [nibble for nibble, reference in enumerate(new) if reference]
        if not alive:
            return None
        if len(alive) == 1:
            only = alive[0]
            child = changed[only] if only in changed else self._resolve(branch[only])
            return self._extend(f"{only:x}", child)
        for nibble, child in changed.items():
            if child is not None:
                new[nibble] = self._refer(child)
        return new

    def _extend(self, path: str, child: Node | None) -> Node | None:
        if child is None or not path:
            return child
        if len(child) == _BRANCH:
            return [_pack(path, leaf=False), self._refer(child)]
        below, leaf = _path(child)
        return [_pack(path + below, leaf=leaf), child[1]]


def ordered_root(values: Sequence[bytes]) -> bytes:
    """The root over values at the RLP of their positions: of a block's transactions or receipts."""
    return Trie(NoNodes()).update(BLANK_ROOT, {encode(encode_int(index)): value for index, value in enumerate(values)})
