"""Trail roots against a second, recursive reading of the same tree."""

from eth_abi import encode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from fixtures.onchain import standard_tree_root
from mereau_verify.merkle import leaf_hash, merkle_root

leaves = st.lists(st.binary(min_size=32, max_size=32), max_size=40, unique=True)


@given(leaves)
def test_the_root_is_that_of_the_standard_tree(content: list[bytes]) -> None:
    assert merkle_root(content) == standard_tree_root(content)


@given(leaves)
def test_order_does_not_matter(content: list[bytes]) -> None:
    """Leaves are sorted; their place is inside the leaf."""
    assert merkle_root(reversed(content)) == merkle_root(content)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20, unique=True), st.data())
def test_any_other_leaf_gives_another_root(content: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(content) - 1))
    changed = [*content[:place], keccak(content[place]), *content[place + 1 :]]
    assert merkle_root(changed) != merkle_root(content)


def test_no_leaves_no_root() -> None:
    assert merkle_root([]) == bytes(32)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 1))
def test_the_leaf_is_the_abi_encoding_hashed_twice(word: bytes, wallet: bytes, tokens: int) -> None:
    types = ["bytes32", "bytes32", "address", "uint256", "uint256"]
    encoded = encode(types, [word, word[::-1], wallet, tokens, 7])
    assert leaf_hash(word, word[::-1], wallet, tokens, 7) == keccak(keccak(encoded))
