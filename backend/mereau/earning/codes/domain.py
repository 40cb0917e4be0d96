"""Pools of codes and what a code looks like. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mereau.core.codes import plain

UPLOADED_CHARS_MIN: Final = 12
UPLOADED_CHARS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class PoolDraft:
    """Codes to come. `campaign` is the external id of the one rule that they call, None for all rules of codes.

    `partner_id` pays what they earn, None leaves it to the rule's issuer; `attributes` are what rules may match.
    """

    external_id: str
    partner_id: str | None
    campaign: str | None
    object_reference: str | None
    attributes: Mapping[str, str | int | bool]
    uses_per_code: int
    valid_from: datetime | None
    valid_until: datetime | None


def code_digest(typed: str) -> bytes:
    """SHA-256 of a code as it was meant; what is no code at all has a digest too, so that it is looked up alike."""
    return hashlib.sha256(b"mereau code v1\n" + plain(typed).encode()).digest()


def is_uploadable(code: str) -> bool:
    """Whether a code of the operator's own is long enough that nobody meets it by chance."""
    meant = plain(code)
    return UPLOADED_CHARS_MIN <= len(meant) <= UPLOADED_CHARS_MAX and meant.isascii() and meant.isalnum()
