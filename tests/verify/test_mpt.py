"""Proofs over tries built by hand, node by node: the shapes that a random trie rarely takes."""

import pytest
import rlp
from eth_utils import keccak

from mereau_verify.mpt import EMPTY_ROOT, ProofError, proven_account, proven_value, proven_word

Node = list[object]
LONG = b"\x11" * 40
"""A value that keeps its node from being embedded."""


def path(nibbles: str, *, leaf: bool) -> bytes:
    """Hex-prefix encoding (Yellow Paper, appendix C)."""
    flag = 2 * leaf + len(nibbles) % 2
    return bytes.fromhex(f"{flag:x}{nibbles}" if flag % 2 else f"{flag:x}0{nibbles}")


def leaf(nibbles: str, value: bytes) -> Node:
    return [path(nibbles, leaf=True), value]


def extension(nibbles: str, child: object) -> Node:
    return [path(nibbles, leaf=False), child]


def branch(value: bytes = b"", **children: object) -> Node:
    """Children by nibble, as n0 to nf."""
    return [*[children.get(f"n{nibble:x}", b"") for nibble in range(16)], value]


def sealed(node: Node) -> bytes:
    return keccak(rlp.encode(node))


def prove(key: str, root: Node, *others: Node) -> bytes | None:
    return proven_value(sealed(root), bytes.fromhex(key), [rlp.encode(node) for node in (root, *others)])


@pytest.mark.parametrize(
    ("key", "value"),
    [("", b"own"), ("10", LONG), ("11", None), ("20", None), ("3456", b"abc"), ("3457", None), ("34", None)],
)
def test_values_of_and_under_a_branch(key: str, value: bytes | None) -> None:
    """The branch's own value, a leaf by hash, an embedded leaf, and all that is not there."""
    far = leaf("0", LONG)
    root = branch(b"own", n1=sealed(far), n3=leaf("456", b"abc"))
    assert prove(key, root, far) == value


def test_a_branch_without_value_holds_none_of_its_own() -> None:
    assert prove("", branch(n1=leaf("0", LONG))) is None


@pytest.mark.parametrize(
    ("nibbles", "key", "value"),
    [
        ("a", "ab1c", LONG), ("abc", "abcd", None), ("a", "bb1c", None), ("ab1c", "ab1c", None), ("ab", "ab", None),
        ("ab", "ab1c", LONG), ("a", "a0", None),
    ],
)  # fmt: skip
def test_extensions_of_odd_and_even_length(nibbles: str, key: str, value: bytes | None) -> None:
    """A key that leaves the extension, or ends in it or right behind it, is proven absent."""
    rest = "ab1c"[len(nibbles) :]
    below = branch(n1=leaf("c", LONG)) if nibbles == "ab" else branch(**{f"n{rest[:1] or '0'}": leaf(rest[1:], LONG)})
    assert prove(key, extension(nibbles, sealed(below)), below) == value


@pytest.mark.parametrize("nibbles", ["", "1", "12", "123"])
def test_leaves_of_odd_and_even_length(nibbles: str) -> None:
    key = "a" * (4 - len(nibbles)) + nibbles
    root: Node = leaf(nibbles, LONG)
    for _ in range(4 - len(nibbles)):
        root = branch(na=root)
    assert prove(key, root) == LONG
    assert prove(key[:-1] + "f", root) is None


def test_embedded_nodes_within_embedded_nodes() -> None:
    inner = branch(n2=leaf("", b"x"))
    assert prove("12", branch(n1=inner)) == b"x"
    assert prove("12", extension("1", inner)) == b"x"
    assert prove("13", extension("1", inner)) is None


def test_order_and_surplus_of_nodes_do_not_matter() -> None:
    far = leaf("0", LONG)
    root = branch(n1=sealed(far))
    nodes = [b"surplus", rlp.encode(far), rlp.encode(root), rlp.encode(root)]
    assert proven_value(sealed(root), b"\x10", nodes) == LONG


@pytest.mark.parametrize("given", [[], [b"\x80"], [rlp.encode(leaf("0", LONG))]])
def test_a_path_that_breaks_off_proves_nothing(given: list[bytes]) -> None:
    root = branch(n1=sealed(leaf("1", LONG)))
    with pytest.raises(ProofError, match="no proof node hashes to 0x"):
        proven_value(sealed(root), b"\x11", [rlp.encode(root), *given])
    with pytest.raises(ProofError, match="no proof node hashes to 0x"):
        proven_value(sealed(root), b"\x11", given)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ([], "0 items"), ([b"\x20"], "1 items"), ([b"\x20", b"x", b"y"], "3 items"), ([b""] * 16, "16 items"),
        ([b"", b"x"], "no path"), ([[b"\x20"], b"x"], "bytes expected"), ([b"\x20", [b"x"]], "bytes expected"),
        (b"text", "no list"),
    ],
)  # fmt: skip
def test_a_node_of_no_known_shape(node: object, message: str) -> None:
    encoded = rlp.encode(node)
    with pytest.raises(ProofError, match=message):
        proven_value(keccak(encoded), b"", [encoded])


def test_a_branch_whose_value_is_a_list() -> None:
    with pytest.raises(ProofError, match="bytes expected"):
        prove("", [*[b""] * 16, [b"x"]])


def test_the_empty_trie_needs_no_nodes() -> None:
    assert EMPTY_ROOT.hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    assert proven_value(EMPTY_ROOT, b"\x12", [b"anything"]) is None


def account_trie(fields: object) -> tuple[bytes, list[bytes]]:
    root = [path(keccak(b"account").hex(), leaf=True), rlp.encode(fields)]
    return sealed(root), [rlp.encode(root)]


def test_an_account_is_read() -> None:
    root, nodes = account_trie([b"\x01", b"\x02", b"s" * 32, b"c" * 32])
    assert proven_account(root, b"account", nodes) == (b"s" * 32, b"c" * 32)


@pytest.mark.parametrize("fields", [[b""] * 3, [b""] * 5, b"account", [b"", b"", [b""], b""]])
def test_an_account_of_another_shape(fields: object) -> None:
    root, nodes = account_trie(fields)
    with pytest.raises(ProofError, match=r"four fields|bytes expected"):
        proven_account(root, b"account", nodes)


@pytest.mark.parametrize("number", [1, 127, 128, 2**64 - 1, 2**256 - 1])
def test_a_word_is_read(number: int) -> None:
    slot = (7).to_bytes(32, "big")
    root = [path(keccak(slot).hex(), leaf=True), rlp.encode(number)]
    assert proven_word(sealed(root), slot, [rlp.encode(root)]) == number
    assert proven_word(sealed(root), bytes(32), [rlp.encode(root)]) == 0


def test_a_word_that_is_a_list() -> None:
    slot = bytes(32)
    root = [path(keccak(slot).hex(), leaf=True), rlp.encode([b"x"])]
    with pytest.raises(ProofError, match="bytes expected"):
        proven_word(sealed(root), slot, [rlp.encode(root)])
