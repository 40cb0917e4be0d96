"""Vouchers and their codes. Pure."""

import hashlib
import hmac
from typing import Final

from mereau.core.ids import ALPHABET

SECRET_BYTES_MIN: Final = 32
CODE_LENGTH: Final = 16

_CODE_BYTES: Final = 10
_GROUP: Final = 4
# What people mistype, after Crockford (https://www.crockford.com/base32.html).
_MISREAD: Final = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


def voucher_code(secret: bytes, redemption_id: str) -> str:
    """The voucher of a redemption: 80 bits of HMAC-SHA256 as Crockford base32 in groups of four.

    Derived, never stored: whoever copies the database cannot use a voucher, and whoever holds the
    installation's secret (at least 32 bytes) can show it to its member again.
    """
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"the voucher secret must have at least {SECRET_BYTES_MIN} bytes")
    mac = hmac.digest(secret, b"mereau voucher v1\n" + redemption_id.encode(), "sha256")
    value = int.from_bytes(mac[:_CODE_BYTES], "big")
    code = "".join(ALPHABET[(value >> shift) & 31] for shift in range(5 * (CODE_LENGTH - 1), -1, -5))
    return "-".join(code[start : start + _GROUP] for start in range(0, CODE_LENGTH, _GROUP))


def plain_code(text: str, length: int) -> str | None:
    """A code of so many characters in whatever case and grouping it was typed; None for what is no such code."""
    plain = text.upper().translate(_MISREAD)
    return plain if len(plain) == length and all(char in ALPHABET for char in plain) else None


def voucher_digest(code: str) -> bytes | None:
    """SHA-256 of a voucher's code as it was typed; None for what is no code at all.

    Vouchers are found by this digest, so the time of a lookup tells nothing about the stored codes.
    """
    plain = plain_code(code, CODE_LENGTH)
    return None if plain is None else hashlib.sha256(plain.encode()).digest()
