"""Recursive Length Prefix, strict on input: what decodes encodes back to the same bytes.

The library's sedes cost tens of microseconds per trie node; every state access pays for one of these.
"""

from collections.abc import Sequence
from typing import TypeAlias

Item: TypeAlias = "bytes | Sequence[Item]"
Decoded: TypeAlias = "bytes | list[Decoded]"

_SHORT = 56
_STRING = 0x80
_LIST = 0xC0
_WORD = 32


class CodecError(ValueError):
    """The bytes are not the one canonical encoding of anything."""


def _header(length: int, base: int) -> bytes:
    if length < _SHORT:
        return bytes((base + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((base + _SHORT - 1 + len(size),)) + size


def encode(item: Item) -> bytes:
    if isinstance(item, bytes):
        length = len(item)
        if length == _WORD:
            return b"\xa0" + item
        if length == 1 and item[0] < _STRING:
            return item
        return _header(length, _STRING) + item
    payload = b"".join([encode(member) for member in item])
    return _header(len(payload), _LIST) + payload


def encode_int(value: int) -> bytes:
    """The big-endian bytes of a non-negative integer, none for zero: RLP's integers before their prefix."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode_int(item: Decoded, *, size_max: int = 32) -> int:
    if not isinstance(item, bytes):
        raise CodecError("expected an integer, found a list")
    if len(item) > size_max:
        raise CodecError(f"integer longer than {size_max} bytes")
    if item[:1] == b"\0":
        raise CodecError("integer with a leading zero")
    return int.from_bytes(item, "big")


def decode(data: bytes) -> Decoded:
    """The one item that `data` encodes. Raises CodecError on anything short, long or not canonical."""
    item, end = _item(data, 0, len(data))
    if end != len(data):
        raise CodecError("bytes after the item")
    return item


def decode_list(data: bytes) -> list[Decoded]:
    item = decode(data)
    if isinstance(item, bytes):
        raise CodecError("expected a list, found a string")
    return item


def _long(data: bytes, start: int, size: int, limit: int) -> tuple[int, int]:
    first = start + size
    if first > limit or data[start] == 0:
        raise CodecError("length is short or has a leading zero")
    length = int.from_bytes(data[start:first], "big")
    if length < _SHORT:
        raise CodecError("long form of a short length")
    return first, first + length


def _item(data: bytes, start: int, limit: int) -> tuple[Decoded, int]:
    if start >= limit:
        raise CodecError("the item ends too early")
    lead = data[start]
    if lead < _STRING:
        return data[start : start + 1], start + 1
    base = _STRING if lead < _LIST else _LIST
    if lead - base < _SHORT:
        first, end = start + 1, start + 1 + lead - base
    else:
        first, end = _long(data, start + 1, lead - base - _SHORT + 1, limit)
    if end > limit:
        raise CodecError("the item ends too early")
    if base == _LIST:
        return _members(data, first, end), end
    if end - first == 1 and data[first] < _STRING:
        raise CodecError("long form of a single byte")
    return data[first:end], end


def _members(data: bytes, start: int, end: int) -> list[Decoded]:
    members: list[Decoded] = []
    while start < end:
        lead = data[start]
        # Hashes and empty strings are nearly all of a trie node and of a log: no call for them.
        if lead == _STRING + _WORD and start + _WORD < end:
            members.append(data[start + 1 : start + 1 + _WORD])
            start += _WORD + 1
        elif lead == _STRING:
            members.append(b"")
            start += 1
        else:
            member, start = _item(data, start, end)
            members.append(member)
    return members
