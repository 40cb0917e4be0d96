"""`mereau keys`: API keys by the operator's own hand, without an API key."""

from pathlib import Path

from mereau.auth import service as auth
from mereau.auth.domain import Reach, Role
from mereau.auth.models import ApiKey
from mereau.auth.service import KeyDraft
from mereau.cli.output import emit, emit_json, emit_table
from mereau.cli.session import Desk, work
from mereau.core.db import ReadSession, WriteSession, snapshot, transaction
from mereau.core.errors import ConfigurationError, NotFoundError
from mereau.core.pagination import LIMIT_MAX, PageQuery
from mereau.members import service as members
from mereau.partners import service as partners

_MADE_HERE = (Role.OPERATOR, Role.AUDITOR, Role.PARTNER, Role.MEMBER)


def run_create(
    name: str, *, role: str, partner: str | None, member: str | None, data_dir: Path | None, as_json: bool
) -> bool:
    """Make a key and print it; it is stored nowhere and cannot be shown again."""
    if role not in _MADE_HERE:
        raise ConfigurationError(f"There is no role {role!r}. Known: {', '.join(_MADE_HERE)}.")

    async def create(desk: Desk) -> tuple[ApiKey, str]:
        async with transaction(desk.engine) as session:
            partner_id = None if partner is None else (await partners.get_by_external_id(session, partner)).id
            member_id = None if member is None else await _member_id(session, member)
            draft = KeyDraft(Role(role), name, partner_id=partner_id, member_id=member_id)
            return await auth.create_api_key(session, draft, desk.clock.now())

    key, text = work(data_dir, create)
    rows = [("id", key.id), ("role", key.role), ("name", key.name), ("key", text)]
    emit("API key, shown this once", rows, as_json=as_json)
    return True


def run_list(data_dir: Path | None, *, as_json: bool) -> bool:
    """Every key by its hint; the keys themselves are not known here."""

    async def collect(desk: Desk) -> list[ApiKey]:
        async with snapshot(desk.engine) as session:
            return await _all_keys(session)

    keys = work(data_dir, collect)
    if as_json:
        emit_json({"data": [_facts(key) for key in keys]})
    else:
        emit_table("API keys", [(key.id, f"{key.hint}  {key.role:<8}  {_state(key)}  {key.name}") for key in keys])
    return True


def run_revoke(key_id: str, data_dir: Path | None) -> bool:
    """Revoke a key; NotFoundError where there is none, ConflictError for the operator's last."""

    async def revoke(desk: Desk) -> None:
        async with transaction(desk.engine) as session:
            await auth.revoke(session, key_id, desk.clock.now())

    work(data_dir, revoke)
    return True


async def _member_id(session: WriteSession, external_id: str) -> str:
    member = await members.find_by_external_id(session, external_id)
    if member is None:
        raise NotFoundError(f"There is no member {external_id}.")
    return member.id


async def _all_keys(session: ReadSession) -> list[ApiKey]:
    keys: list[ApiKey] = []
    after: str | None = None
    while True:
        page = await auth.list_keys(session, Reach(), PageQuery(LIMIT_MAX, after))
        keys += page.rows
        if page.next_after is None:
            return keys
        after = page.next_after


def _state(key: ApiKey) -> str:
    return "active " if key.revoked_at is None else "revoked"


def _facts(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "role": key.role,
        "name": key.name,
        "hint": key.hint,
        "state": _state(key).strip(),
        "expires_at": key.expires_at,
        "created_at": key.created_at,
    }
