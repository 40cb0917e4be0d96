"""Who may ask for what: roles, scopes, principals and the form of an API key. Pure."""

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

KeyMode = Literal["live", "test"]
SECRET_BYTES: Final = 32
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_CHARS: Final = 43
_CHECKSUM_CHARS: Final = 6
_PREFIXES: Final = ("mk_live_", "mk_test_")
_PREFIX_CHARS: Final = len(_PREFIXES[0])
_KEY_CHARS: Final = _PREFIX_CHARS + _SECRET_CHARS + _CHECKSUM_CHARS
_HINT_CHARS: Final = 4


class Role(StrEnum):
    """Whose key it is. `staff` acts for its partner, but manages neither keys nor staff."""

    OPERATOR = "operator"
    PARTNER = "partner"
    STAFF = "staff"
    MEMBER = "member"
    AUDITOR = "auditor"


class Scope(StrEnum):
    """One kind of act. A key holds some; its role bounds which."""

    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    MEMBERS_MANAGE = "members:manage"
    PROFILE_WRITE = "profile:write"
    ACTIONS_READ = "actions:read"
    ACTIONS_WRITE = "actions:write"
    REFERRALS_READ = "referrals:read"
    CODES_READ = "codes:read"
    EARNING_CLAIM = "earning:claim"
    LEDGER_READ = "ledger:read"
    LEDGER_WRITE = "ledger:write"
    ADJUSTMENTS_READ = "adjustments:read"
    ADJUSTMENTS_WRITE = "adjustments:write"
    ADJUSTMENTS_APPROVE = "adjustments:approve"
    SALES_READ = "sales:read"
    SALES_WRITE = "sales:write"
    RULES_READ = "rules:read"
    RULES_WRITE = "rules:write"
    REWARDS_READ = "rewards:read"
    REWARDS_WRITE = "rewards:write"
    REDEMPTIONS_READ = "redemptions:read"
    REDEMPTIONS_WRITE = "redemptions:write"
    REDEMPTIONS_USE = "redemptions:use"
    GOODS_READ = "goods:read"
    GOODS_WRITE = "goods:write"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"
    REDEMPTIONS_REFUND = "redemptions:refund"
    PARTNERS_READ = "partners:read"
    PARTNERS_WRITE = "partners:write"
    STAFF_WRITE = "staff:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    TIERS_READ = "tiers:read"
    TIERS_WRITE = "tiers:write"
    SEGMENTS_READ = "segments:read"
    SEGMENTS_WRITE = "segments:write"
    PROGRAM_READ = "program:read"
    PROGRAM_WRITE = "program:write"
    BATCHES_READ = "batches:read"
    CHAIN_READ = "chain:read"
    OPERATIONS_READ = "operations:read"


_STAFF: Final = frozenset(
    {
        Scope.MEMBERS_READ, Scope.MEMBERS_WRITE, Scope.SALES_READ, Scope.SALES_WRITE, Scope.RULES_READ,
        Scope.REWARDS_READ, Scope.REDEMPTIONS_READ, Scope.REDEMPTIONS_USE, Scope.PARTNERS_READ, Scope.CHAIN_READ,
        Scope.PROFILE_WRITE, Scope.TIERS_READ,
        Scope.GOODS_READ, Scope.DELIVERIES_READ, Scope.DELIVERIES_WRITE, Scope.PROGRAM_READ,
        Scope.ACTIONS_READ, Scope.EARNING_CLAIM, Scope.ADJUSTMENTS_READ, Scope.ADJUSTMENTS_WRITE,
    }
)  # fmt: skip

ROLE_SCOPES: Final[dict[Role, frozenset[Scope]]] = {
    Role.OPERATOR: frozenset(Scope),
    Role.AUDITOR: frozenset(scope for scope in Scope if scope.endswith(":read")),
    Role.STAFF: _STAFF,
    Role.PARTNER: _STAFF
    | {
        Scope.STAFF_WRITE, Scope.KEYS_READ, Scope.KEYS_WRITE, Scope.ACTIONS_WRITE, Scope.REDEMPTIONS_REFUND,
        Scope.ADJUSTMENTS_APPROVE,
    },
    Role.MEMBER: frozenset(
        {
            Scope.MEMBERS_READ, Scope.LEDGER_READ, Scope.SALES_READ, Scope.REWARDS_READ, Scope.REDEMPTIONS_READ,
            Scope.REDEMPTIONS_WRITE, Scope.CHAIN_READ, Scope.PROFILE_WRITE, Scope.TIERS_READ,
            Scope.DELIVERIES_READ, Scope.PROGRAM_READ,
            Scope.ACTIONS_READ, Scope.REFERRALS_READ, Scope.EARNING_CLAIM,
        }
    ),
}  # fmt: skip
"""The most that a key of each role may hold."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which rows a caller may see: a member's own, a partner's own, or (both None) all of the programme."""

    partner_id: str | None = None
    member_id: str | None = None


EVERYTHING: Final = Reach()


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller of one request."""

    key_id: str
    role: Role
    scopes: frozenset[Scope]
    partner_id: str | None = None
    staff_id: str | None = None
    member_id: str | None = None
    expires_at: datetime | None = None

    @property
    def reach(self) -> Reach:
        return Reach(self.partner_id, self.member_id)

    def may(self, scope: Scope) -> bool:
        """Whether the key holds `scope` and its role still allows it."""
        return scope in self.scopes and scope in ROLE_SCOPES[self.role]


def known_scopes(texts: Iterable[str]) -> frozenset[Scope]:
    """The scopes among stored texts; one that a later version dropped means nothing."""
    held = set(texts)
    return frozenset(scope for scope in Scope if scope.value in held)


def format_key(mode: KeyMode, secret: bytes) -> str:
    """The text of a key: prefix for scanners, 43 base62 characters of 32 bytes, CRC-32 of all before."""
    head = f"mk_{mode}_{_base62(int.from_bytes(secret), _SECRET_CHARS)}"
    return head + _checksum(head)


def is_key(text: str) -> bool:
    """Whether `text` has the form of a key and its checksum: a typing error costs no query."""
    if len(text) != _KEY_CHARS or not text.startswith(_PREFIXES):
        return False
    body = text[_PREFIX_CHARS:]
    return body.isascii() and body.isalnum() and text[-_CHECKSUM_CHARS:] == _checksum(text[:-_CHECKSUM_CHARS])


def digest_of(key: str) -> bytes:
    """What is stored of a key. One round of SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(key.encode()).digest()


def hint_of(key: str) -> str:
    """What a list shows of a key, so that its owner knows which it is."""
    return f"{key[:_PREFIX_CHARS]}...{key[-_HINT_CHARS:]}"


def bearer_key(header: str | None) -> str | None:
    """The key in an `Authorization: Bearer` header (RFC 6750), None where there is none of our form."""
    scheme, _, key = (header or "").partition(" ")
    key = key.strip(" ")
    return key if scheme.lower() == "bearer" and is_key(key) else None


def excess_scopes(role: Role, scopes: Iterable[Scope], granter: Principal | None) -> list[Scope]:
    """Scopes that a new key of `role` must not get: outside of its role, or not the granter's own."""
    allowed = ROLE_SCOPES[role]
    return sorted(scope for scope in scopes if scope not in allowed or (granter is not None and not granter.may(scope)))


def _base62(value: int, width: int) -> str:
    digits = []
    for _ in range(width):
        value, digit = divmod(value, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(head: str) -> str:
    return _base62(zlib.crc32(head.encode()), _CHECKSUM_CHARS)
