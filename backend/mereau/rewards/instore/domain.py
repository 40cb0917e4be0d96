"""The code that a member shows so that staff may redeem for them. Pure."""

import hmac
from datetime import timedelta
from typing import Final

from mereau.core.codes import plain_code, spell

LENGTH: Final = 8
RANDOM_BYTES: Final = LENGTH * 5 // 8
LIFE: Final = timedelta(minutes=5)
MISSES_MAX: Final = 10
"""So many wrong codes of one key within `MISSES_WINDOW`, and it must wait: guessing 40 bits is hopeless."""
MISSES_WINDOW: Final = timedelta(minutes=5)


def code_text(randomness: bytes) -> str:
    """40 random bits as eight characters that nobody mistakes for others, in two groups."""
    code = spell(int.from_bytes(randomness[:RANDOM_BYTES]), LENGTH)
    return f"{code[:4]}-{code[4:]}"


def code_digest(secret: bytes, typed: str) -> bytes | None:
    """What is stored of a code, as it was typed; None for what is no code.

    Keyed: whoever copies the table cannot try all codes while they live.
    """
    plain = plain_code(typed, LENGTH)
    return None if plain is None else hmac.digest(secret, b"mereau redemption code v1\n" + plain.encode(), "sha256")
