"""Prefixed ULIDs (https://github.com/ulid/spec): sortable by creation, unguessable in the last 80 bits."""

import os
from collections import deque
from datetime import datetime
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_LENGTH: Final = 26
_RANDOM_BITS: Final = 80
_RANDOM_BYTES: Final = _RANDOM_BITS // 8
# Randomness is drawn for many ids at a time: each draw is a system call. A forked process draws its own.
_DRAWN_IDS: Final = 256
_drawn: Final[deque[bytes]] = deque()
os.register_at_fork(after_in_child=_drawn.clear)
_PAIRS: Final = tuple(a + b for a in ALPHABET for b in ALPHABET)


def ulid(at: datetime, randomness: int) -> str:
    """Encode an instant (milliseconds) and 80 random bits as 26 Crockford base32 characters."""
    value = (int(at.timestamp() * 1000) << _RANDOM_BITS) | randomness
    return "".join(_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10))


def new_id(prefix: str, at: datetime) -> str:
    """A fresh id such as `mem_01J...`; `prefix` names the kind of object."""
    return f"{prefix}_{ulid(at, _randomness())}"


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` has the form of an id of this kind; says nothing of its existence."""
    head, _, tail = text.partition("_")
    return head == prefix and len(tail) == ULID_LENGTH and not tail.strip(ALPHABET)


def _randomness() -> int:
    """80 bits that nobody else gets, from any thread."""
    try:
        return int.from_bytes(_drawn.pop())
    except IndexError:
        fresh = os.urandom(_RANDOM_BYTES * _DRAWN_IDS)
        _drawn.extend(fresh[at : at + _RANDOM_BYTES] for at in range(_RANDOM_BYTES, len(fresh), _RANDOM_BYTES))
        return int.from_bytes(fresh[:_RANDOM_BYTES])
