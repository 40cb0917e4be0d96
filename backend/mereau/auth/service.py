"""API keys: making, showing once, finding, revoking."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from mereau.auth import repository
from mereau.auth.domain import (
    EVERYTHING,
    ROLE_SCOPES,
    SECRET_BYTES,
    KeyMode,
    Principal,
    Reach,
    Role,
    Scope,
    bearer_key,
    digest_of,
    excess_scopes,
    format_key,
    hint_of,
    known_scopes,
)
from mereau.auth.errors import ExcessiveScopeError
from mereau.auth.models import ApiKey
from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError, UnauthenticatedError
from mereau.core.ids import new_id
from mereau.core.pagination import Page, PageQuery, cut_page
from mereau.journal import service as journal

_OPERATOR_KEYS_MIN = 1


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """A key to make. `scopes` None: all that the role allows and the granter holds."""

    role: Role
    name: str
    partner_id: str | None = None
    staff_id: str | None = None
    member_id: str | None = None
    scopes: frozenset[Scope] | None = None
    expires_at: datetime | None = None
    mode: KeyMode = "live"


async def create_api_key(
    session: WriteSession, draft: KeyDraft, now: datetime, *, granter: Principal | None = None
) -> tuple[ApiKey, str]:
    """A new key and its text, which is nowhere stored. `granter` None: the operator's own command line.

    A partner may have any number of keys: a new one is made before the old one is revoked. Raises
    ExcessiveScopeError where it could do more than its role or its granter, InvalidInputError for a draft
    that contradicts itself.
    """
    _check_owner(draft)
    if draft.expires_at is not None and draft.expires_at <= now:
        raise InvalidInputError(
            "The key would have expired before it exists.",
            errors=[FieldError("/expires_at", "in_the_past", "An instant in the future is expected.")],
        )
    text = format_key(draft.mode, secrets.token_bytes(SECRET_BYTES))
    key = ApiKey(
        id=new_id("key", now),
        role=draft.role.value,
        partner_id=draft.partner_id,
        staff_id=draft.staff_id,
        member_id=draft.member_id,
        scopes=sorted(_granted(draft, granter)),
        name=draft.name,
        hint=hint_of(text),
        digest=digest_of(text),
        expires_at=draft.expires_at,
        revoked_at=None,
        created_at=now,
    )
    session.add(key)
    await session.flush()
    await journal.record(
        session,
        at=now,
        actor=_actor(granter),
        action="api_key.created",
        subject_id=key.id,
        detail={"role": key.role, "scopes": key.scopes, "partner_id": key.partner_id},
    )
    return key, text


async def revoke(
    session: WriteSession, key_id: str, now: datetime, *, reach: Reach = EVERYTHING, actor: Principal | None = None
) -> None:
    """End a key within `reach`; repeating it changes nothing. Workers forget it within their cache's time.

    Raises NotFoundError for keys outside of `reach`, ConflictError for the last key that an operator has.
    """
    key = await repository.get_key(session, key_id, reach)
    if key is None:
        raise NotFoundError("There is no such API key.")
    if key.revoked_at is not None:
        return
    if key.role == Role.OPERATOR and await repository.count_usable_operator_keys(session, now) <= _OPERATOR_KEYS_MIN:
        raise ConflictError("This is the operator's last key. Make another one first.")
    await repository.revoke_key(session, key_id, now)
    await journal.record(session, at=now, actor=_actor(actor), action="api_key.revoked", subject_id=key_id, detail={})


async def authenticate(session: AsyncSession, header: str | None, now: datetime) -> Principal:
    """The caller named by an `Authorization` header. Raises UnauthenticatedError, the same for every cause."""
    key = bearer_key(header)
    if key is None:
        raise unauthenticated()
    principal = await find_principal(session, digest_of(key))
    if principal is None or is_expired(principal, now):
        raise unauthenticated()
    return principal


async def find_principal(session: AsyncSession, digest: bytes) -> Principal | None:
    """The principal of a key that is not revoked, by the digest of its text; its expiry is the caller's."""
    row = await repository.find_key(session, digest)
    if row is None or row.revoked_at is not None:
        return None
    return Principal(
        key_id=row.id,
        role=Role(row.role),
        scopes=known_scopes(row.scopes),
        partner_id=row.partner_id,
        staff_id=row.staff_id,
        member_id=row.member_id,
        expires_at=row.expires_at,
    )


def is_expired(principal: Principal, now: datetime) -> bool:
    return principal.expires_at is not None and principal.expires_at <= now


def unauthenticated() -> UnauthenticatedError:
    return UnauthenticatedError("Send a valid API key as Authorization: Bearer.")


async def list_keys(session: ReadSession, reach: Reach, page: PageQuery) -> Page[ApiKey]:
    """Keys within `reach`, newest first, revoked ones included: their traces stay."""
    rows = await repository.list_keys(session, reach, page.after, page.limit + 1)
    return cut_page(rows, page.limit, lambda key: key.id)


def _granted(draft: KeyDraft, granter: Principal | None) -> Iterable[Scope]:
    if draft.scopes is None:
        return {scope for scope in ROLE_SCOPES[draft.role] if granter is None or granter.may(scope)}
    if excess := excess_scopes(draft.role, draft.scopes, granter):
        raise ExcessiveScopeError(
            f"Such a key cannot hold {', '.join(excess)}.",
            errors=[FieldError("/scopes", "excessive_scope", scope) for scope in excess],
        )
    return draft.scopes


def _check_owner(draft: KeyDraft) -> None:
    """Each role names exactly the owner that it acts for."""
    named = {
        owner
        for owner, value in (
            ("partner_id", draft.partner_id), ("staff_id", draft.staff_id), ("member_id", draft.member_id)
        )
        if value is not None
    }  # fmt: skip
    wanted = {
        Role.OPERATOR: set(),
        Role.AUDITOR: set(),
        Role.PARTNER: {"partner_id"},
        Role.STAFF: {"partner_id", "staff_id"},
        Role.MEMBER: {"member_id"},
    }[draft.role]
    if named != wanted:
        raise InvalidInputError(
            f"A key of role {draft.role} names {', '.join(sorted(wanted)) or 'no owner'}.",
            errors=[
                FieldError(f"/{owner}", "wrong_owner", f"Does not fit the role {draft.role}.")
                for owner in sorted(named ^ wanted)
            ],
        )


def _actor(principal: Principal | None) -> str:
    return "command line" if principal is None else principal.key_id
