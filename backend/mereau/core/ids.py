"""Prefixed ULIDs (https://github.com/ulid/spec): sortable by creation, unguessable in the last 80 bits."""

import secrets
from datetime import datetime
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_LENGTH: Final = 26
_RANDOM_BITS: Final = 80
_PAIRS: Final = tuple(a + b for a in ALPHABET for b in ALPHABET)


def ulid(at: datetime, randomness: int) -> str:
    """Encode an instant (milliseconds) and 80 random bits as 26 Crockford base32 characters."""
    value = (int(at.timestamp() * 1000) << _RANDOM_BITS) | randomness
    return "".join(_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10))


def new_id(prefix: str, at: datetime) -> str:
    """A fresh id such as `mem_01J...`; `prefix` names the kind of object."""
    return f"{prefix}_{ulid(at, secrets.randbits(_RANDOM_BITS))}"


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` has the form of an id of this kind; says nothing of its existence."""
    head, _, tail = text.partition("_")
    return head == prefix and len(tail) == ULID_LENGTH and not tail.strip(ALPHABET)
