"""Codes that people type and machines print: 80 bits as Crockford base32 in groups of four."""

import hashlib
from typing import Final

from mereau.core.ids import ALPHABET

CODE_BYTES: Final = 10
CODE_LENGTH: Final = 16
BITS_PER_CHAR: Final = 5

_GROUP: Final = 4
# What people mistype, after Crockford (https://www.crockford.com/base32.html).
_MISREAD: Final = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


def spell(value: int, chars: int) -> str:
    """The low `5 * chars` bits of a number, without letters that are read as others."""
    return "".join(ALPHABET[(value >> shift) & 31] for shift in range(BITS_PER_CHAR * (chars - 1), -1, -BITS_PER_CHAR))


def plain(typed: str) -> str:
    """A code as it was meant: case, dashes, spaces and look-alikes do not matter."""
    return typed.upper().translate(_MISREAD)


def plain_code(typed: str, chars: int) -> str | None:
    """A code of so many characters as it was meant; None for what is no such code."""
    meant = plain(typed)
    return meant if len(meant) == chars and all(char in ALPHABET for char in meant) else None


def format_code(secret: bytes) -> str:
    """The code of exactly 10 bytes, such as `7K2M-9QRT-4VWX-0Z1A`."""
    if len(secret) != CODE_BYTES:
        raise ValueError(f"a code has {CODE_BYTES} bytes")
    return _grouped(spell(int.from_bytes(secret), CODE_LENGTH))


def _grouped(code: str) -> str:
    return "-".join(code[start : start + _GROUP] for start in range(0, CODE_LENGTH, _GROUP))


def respell(typed: str) -> str | None:
    """A code as `format_code` wrote it, in whatever case and grouping it was typed; None for what is no code."""
    meant = plain_code(typed, CODE_LENGTH)
    return None if meant is None else _grouped(meant)


def digest_of(code: str) -> bytes | None:
    """SHA-256 of a code in whatever case and grouping it was typed; None for what is no code at all.

    Codes are stored and found by this digest, so the time of a lookup tells nothing about those stored.
    """
    meant = plain_code(code, CODE_LENGTH)
    return None if meant is None else hashlib.sha256(meant.encode()).digest()
