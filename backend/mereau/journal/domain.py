"""The journal's canonical encoding (version 1) and its chain of hashes. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

GENESIS_HASH: Final = bytes(32)
"""What the first block names as its predecessor."""

_PREFIX: Final = b"mereau journal v1\n"


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the journal: who (`actor`) did what (`action`) to what (`subject_id`), and when."""

    id: int
    at: datetime
    actor: str
    action: str
    subject_id: str
    detail: Mapping[str, object]


def act_bytes(act: Act) -> bytes:
    """An act as canonical JSON: keys sorted, no spaces, ASCII, instants in UTC with microseconds."""
    fields = {
        "v": 1,
        "id": act.id,
        "at": act.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": act.actor,
        "action": act.action,
        "subject_id": act.subject_id,
        "detail": act.detail,
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def block_hash(previous: bytes, number: int, acts: Sequence[Act]) -> bytes:
    """SHA-256 over the previous hash, the block's number and its acts by id, one per line."""
    digest = sha256(_PREFIX + previous + number.to_bytes(8, "big"))
    for act in sorted(acts, key=lambda act: act.id):
        digest.update(act_bytes(act))
        digest.update(b"\n")
    return digest.digest()
