"""Recursive Length Prefix (Yellow Paper, appendix B): bytes in, bytes out, no object tree."""

from typing import Final

_STRING: Final = 0x80
_LIST: Final = 0xC0
_SHORT_MAX: Final = 55


def _prefix(length: int, base: int) -> bytes:
    if length <= _SHORT_MAX:
        return bytes((base + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((base + _SHORT_MAX + len(size),)) + size


def string(value: bytes) -> bytes:
    """One byte string."""
    if len(value) == 1 and value[0] < _STRING:
        return value
    return _prefix(len(value), _STRING) + value


def integer(value: int) -> bytes:
    """A non-negative integer: its big-endian bytes without leading zeros, none for zero."""
    return string(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def wrap(payload: bytes) -> bytes:
    """A list whose members, already encoded and joined, are `payload`."""
    return _prefix(len(payload), _LIST) + payload


def list_prefix(payload_length: int) -> bytes:
    """What stands before the members of a list, for writers that join the members themselves."""
    return _prefix(payload_length, _LIST)


def payload(encoded: bytes, at: int) -> tuple[int, int]:
    """Where the content of the item at `at` begins and ends. `encoded` must be what a rightful encoder wrote."""
    first = encoded[at]
    if first < _STRING:
        return at, at + 1
    length = first - (_LIST if first >= _LIST else _STRING)
    start = at + 1
    if length > _SHORT_MAX:
        start += length - _SHORT_MAX
        length = int.from_bytes(encoded[at + 1 : start], "big")
    return start, start + length
