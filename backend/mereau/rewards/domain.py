"""Vouchers, and why a member cannot have a reward. Pure."""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from mereau.core.amounts import MAX_TOKENS
from mereau.core.errors import FieldError
from mereau.core.ids import ALPHABET

SECRET_BYTES_MIN: Final = 32
CODE_LENGTH: Final = 16
VALIDITY_DAYS_MAX: Final = 3_650

_CODE_BYTES: Final = 10
_GROUP: Final = 4
# What people mistype, after Crockford (https://www.crockford.com/base32.html).
_MISREAD: Final = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


@dataclass(frozen=True, slots=True)
class RewardDraft:
    """A reward to be offered; `stock` None is without limit, `validity_days` runs from the grant."""

    external_id: str
    partner_id: str
    name_fr: str
    name_en: str
    price_tokens: int
    stock: int | None = None
    validity_days: int = 90
    status: Literal["draft", "active", "inactive"] = "active"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason why a member cannot have a reward now; `missing_tokens` only for insufficient_balance."""

    code: Literal["inactive", "out_of_stock", "insufficient_balance"]
    missing_tokens: int | None = None


def findings(draft: RewardDraft) -> Iterator[FieldError]:
    """What is wrong with a draft, field by field."""
    for field in ("external_id", "name_fr", "name_en"):
        if not str(getattr(draft, field)).strip():
            yield FieldError(f"/{field}", "empty", "Must not be empty.")
    if not 0 < draft.price_tokens <= MAX_TOKENS:
        yield FieldError("/price_tokens", "out_of_range", "Must be between 1 and 2^53 - 1.")
    if draft.stock is not None and not 0 <= draft.stock <= MAX_TOKENS:
        yield FieldError("/stock", "out_of_range", "Must be between 0 and 2^53 - 1, or absent.")
    if not 0 < draft.validity_days <= VALIDITY_DAYS_MAX:
        yield FieldError("/validity_days", "out_of_range", f"Must be between 1 and {VALIDITY_DAYS_MAX}.")


def obstacles(*, status: str, stock: int | None, price_tokens: int, available_tokens: int) -> list[Obstacle]:
    """Every reason why a member with so many spendable tokens cannot have the reward; none where they can."""
    found = []
    if status != "active":
        found.append(Obstacle("inactive"))
    if stock == 0:
        found.append(Obstacle("out_of_stock"))
    if available_tokens < price_tokens:
        found.append(Obstacle("insufficient_balance", price_tokens - available_tokens))
    return found


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


def voucher_digest(code: str) -> bytes | None:
    """SHA-256 of a code in whatever case and grouping it was typed; None for what is no code at all.

    Vouchers are found by this digest, so the time of a lookup tells nothing about the stored codes.
    """
    plain = code.upper().translate(_MISREAD)
    if len(plain) != CODE_LENGTH or not all(char in ALPHABET for char in plain):
        return None
    return hashlib.sha256(plain.encode()).digest()
