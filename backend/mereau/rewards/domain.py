"""Vouchers and their codes. Pure."""

import hmac
from typing import Final

from mereau.core import codes

SECRET_BYTES_MIN: Final = 32


def voucher_code(secret: bytes, redemption_id: str) -> str:
    """The voucher of a redemption: 80 bits of HMAC-SHA256 as Crockford base32 in groups of four.

    Derived, never stored: whoever copies the database cannot use a voucher, and whoever holds the
    installation's secret (at least 32 bytes) can show it to its member again.
    """
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"the voucher secret must have at least {SECRET_BYTES_MIN} bytes")
    mac = hmac.digest(secret, b"mereau voucher v1\n" + redemption_id.encode(), "sha256")
    return codes.format_code(mac[: codes.CODE_BYTES])
