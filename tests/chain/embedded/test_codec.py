"""The codec against the rlp library: same bytes out, and nothing accepted that is not canonical."""

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from mereau.chain.embedded.codec import CodecError, decode, decode_int, decode_list, encode, encode_int

ITEMS = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=20), max_leaves=60)


@given(ITEMS)
def test_it_writes_what_the_library_writes(item: object) -> None:
    assert encode(item) == rlp.encode(item)  # type: ignore[arg-type] # recursive strategies have no type


@given(ITEMS)
def test_what_it_wrote_it_reads_back(item: object) -> None:
    assert decode(encode(item)) == item  # type: ignore[arg-type] # as above


@given(st.integers(0, 2**256 - 1))
def test_integers_go_round(value: int) -> None:
    assert encode(encode_int(value)) == rlp.encode(value)
    assert decode_int(encode_int(value)) == value


@given(st.binary(max_size=80))
def test_any_bytes_are_read_as_the_library_reads_them_or_refused(data: bytes) -> None:
    try:
        expected = rlp.decode(data)
    except rlp.DecodingError:
        with pytest.raises(CodecError):
            decode(data)
    else:
        assert _plain(expected) == decode(data)


def _plain(item: object) -> object:
    return [_plain(member) for member in item] if isinstance(item, list | tuple) else item


@pytest.mark.parametrize(
    "data",
    [
        "", "8100", "817f", "b800", "b837" + "00" * 55, "b90001", "b900ff" + "00" * 255, "f800", "f837" + "00" * 55,
        "83aabb", "c2aa", "c1", "c3c1", "0000", "c000", "b8", "b938", "a0" + "11" * 31, "c1a0", "e1a0" + "11" * 31,
        "bfffffffffffffffff", "ffffffffffffffffff", "c28100", "c3b80000",
    ],
)  # fmt: skip
def test_bytes_that_are_not_canonical_are_refused(data: str) -> None:
    with pytest.raises(CodecError):
        decode(bytes.fromhex(data))


def test_a_list_is_asked_for_by_name() -> None:
    assert decode_list(b"\xc1\x01") == [b"\x01"]
    with pytest.raises(CodecError, match="expected a list"):
        decode_list(b"\x01")


@pytest.mark.parametrize(("item", "message"), [([], "found a list"), (b"\0", "leading zero"), (b"1" * 9, "8")])
def test_what_is_no_integer_is_refused(item: bytes, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        decode_int(item, size_max=8)
