"""The verifier's own encodings against independent oracles."""

import pytest
import rlp
from eth_utils import keccak as oracle_keccak
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from fixtures.onchain import World
from mereau_verify.evm import Rlp, from_hex, header_hash, keccak, masked, rlp_decode, rlp_encode
from mereau_verify.mpt import EMPTY_ROOT, ProofError, proven_account, proven_value, proven_word

items: st.SearchStrategy[Rlp] = st.recursive(
    st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=20
)


@given(items)
def test_rlp_is_that_of_the_library(item: Rlp) -> None:
    encoded = rlp_encode(item)
    assert encoded == rlp.encode(item)
    assert rlp_decode(encoded) == item


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        rlp_decode(data)
    except ValueError:
        return


@pytest.mark.parametrize("data", [b"", b"\x83ab", b"\x81", b"\xc3\x83abc", b"\x80\x80", b"\xb8", b"\xf8\x05\x01"])
def test_broken_rlp_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="RLP"):
        rlp_decode(data)


@given(st.binary(max_size=300))
def test_keccak_is_ethereums(data: bytes) -> None:
    assert keccak(data) == oracle_keccak(data)


@pytest.mark.parametrize("text", ["", "00", "0xz0", "0x0"])
def test_what_is_no_hex_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"hex|fromhex"):
        from_hex(text)


def test_a_header_hashes_to_its_block(world: World) -> None:
    block = world.w3.provider.make_request("eth_getBlockByNumber", ["latest", False])["result"]  # type: ignore[arg-type]  # a plain method name
    assert "0x" + header_hash(block).hex() == block["hash"]
    assert "0x" + header_hash({**block, "gasUsed": "0x1"}).hex() != block["hash"]


def test_masking_blanks_the_places_and_only_these() -> None:
    references = {"7": [{"start": 1, "length": 2}], "9": [{"start": 5, "length": 1}]}
    assert masked(b"abcdefg", references) == b"a\0\0de\0g"


pairs = st.dictionaries(st.binary(min_size=1, max_size=8), st.binary(min_size=1, max_size=40), min_size=1, max_size=40)


def proof_of(content: dict[bytes, bytes], key: bytes) -> tuple[bytes, list[bytes]]:
    trie = HexaryTrie({})
    for name, value in content.items():
        trie[oracle_keccak(name)] = value
    return trie.root_hash, [rlp.encode(node) for node in trie.get_proof(oracle_keccak(key))]


@given(pairs, st.binary(min_size=1, max_size=8))
def test_proofs_of_the_reference_trie_hold(content: dict[bytes, bytes], key: bytes) -> None:
    """Presence and absence alike."""
    root, nodes = proof_of(content, key)
    assert proven_value(root, oracle_keccak(key), nodes) == content.get(key)


@given(pairs, st.data())
def test_a_changed_proof_never_proves_another_value(content: dict[bytes, bytes], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(content)))
    root, nodes = proof_of(content, key)
    position = data.draw(st.integers(0, len(nodes) - 1))
    place = data.draw(st.integers(0, len(nodes[position]) - 1))
    spoiled = bytearray(nodes[position])
    spoiled[place] ^= data.draw(st.integers(1, 255))
    nodes[position] = bytes(spoiled)
    with pytest.raises(ValueError, match=r".*"):
        proven_value(root, oracle_keccak(key), nodes)


def test_an_empty_trie_holds_nothing() -> None:
    assert proven_value(EMPTY_ROOT, oracle_keccak(b"x"), []) is None
    assert proven_word(EMPTY_ROOT, b"\0" * 32, []) == 0


def test_a_missing_account_is_an_error() -> None:
    root, nodes = proof_of({b"someone": b"\x01" * 33}, b"else")
    with pytest.raises(ProofError, match="no account"):
        proven_account(root, b"else", nodes)


def test_an_account_has_four_fields() -> None:
    root, nodes = proof_of({b"someone": rlp.encode([b"\x01", b""])}, b"someone")
    with pytest.raises(ProofError, match="four fields"):
        proven_account(root, b"someone", nodes)
