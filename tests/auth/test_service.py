"""API keys on a real database."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.auth import service
from mereau.auth.domain import ROLE_SCOPES, Principal, Reach, Role, Scope, format_key
from mereau.auth.errors import ExcessiveScopeError
from mereau.auth.service import KeyDraft
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, InvalidInputError, NotFoundError, UnauthenticatedError
from mereau.core.pagination import PageQuery

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWNERS: dict[Role, dict[str, str]] = {
    Role.OPERATOR: {},
    Role.AUDITOR: {},
    Role.PARTNER: {"partner_id": "par_1"},
    Role.STAFF: {"partner_id": "par_1", "staff_id": "stf_1"},
    Role.MEMBER: {"member_id": "mem_1"},
}


async def made(engine: AsyncEngine, role: Role, granter: Principal | None = None, **fields: Any) -> tuple[str, str]:
    """(id, text) of a new key."""
    async with transaction(engine) as session:
        draft = KeyDraft(**{"role": role, "name": "till", **OWNERS[role], **fields})
        key, plain = await service.create_api_key(session, draft, NOW, granter=granter)
        return key.id, plain


async def caller(engine: AsyncEngine, header: str | None, at: datetime = NOW) -> Principal:
    async with snapshot(engine) as session:
        return await service.authenticate(session, header, at)


async def revoke(engine: AsyncEngine, key_id: str, reach: Reach | None = None) -> None:
    async with transaction(engine) as session:
        await service.revoke(session, key_id, NOW, reach=reach or Reach())


@pytest.mark.parametrize("role", Role)
async def test_a_key_authenticates_its_owner(engine: AsyncEngine, role: Role) -> None:
    key_id, plain = await made(engine, role)
    found = await caller(engine, f"Bearer {plain}")
    assert (found.key_id, found.role, found.scopes) == (key_id, role, ROLE_SCOPES[role])
    assert {"partner_id": found.partner_id, "staff_id": found.staff_id, "member_id": found.member_id} == {
        "partner_id": None, "staff_id": None, "member_id": None, **OWNERS[role],
    }  # fmt: skip


async def test_the_key_itself_is_stored_nowhere(engine: AsyncEngine) -> None:
    _, plain = await made(engine, Role.OPERATOR)
    async with engine.connect() as connection:
        for table in ("api_keys", "journal_entries"):
            rows = (await connection.execute(text(f"select t::text from {table} t"))).scalars().all()
            assert rows
            assert not any(plain[8:40] in row for row in rows)


@pytest.mark.parametrize("header", [None, "", "Bearer x", f"Bearer {format_key('live', bytes(32))}"])
async def test_unknown_keys_are_refused(engine: AsyncEngine, header: str | None) -> None:
    with pytest.raises(UnauthenticatedError):
        await caller(engine, header)


async def test_a_key_ends_at_its_expiry(engine: AsyncEngine) -> None:
    _, plain = await made(engine, Role.AUDITOR, expires_at=NOW + timedelta(hours=1))
    await caller(engine, f"Bearer {plain}", NOW + timedelta(minutes=59))
    with pytest.raises(UnauthenticatedError):
        await caller(engine, f"Bearer {plain}", NOW + timedelta(hours=1))


async def test_a_key_that_is_over_before_it_begins_is_not_made(engine: AsyncEngine) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await made(engine, Role.AUDITOR, expires_at=NOW)
    assert refused.value.errors[0].pointer == "/expires_at"


async def test_rotation_overlaps(engine: AsyncEngine) -> None:
    old_id, old = await made(engine, Role.PARTNER)
    _, new = await made(engine, Role.PARTNER)
    assert (await caller(engine, f"Bearer {old}")).partner_id == (await caller(engine, f"Bearer {new}")).partner_id
    await revoke(engine, old_id)
    with pytest.raises(UnauthenticatedError):
        await caller(engine, f"Bearer {old}")
    await caller(engine, f"Bearer {new}")


async def test_revoking_twice_keeps_the_first_instant(engine: AsyncEngine) -> None:
    key_id, _ = await made(engine, Role.PARTNER)
    await revoke(engine, key_id)
    async with transaction(engine) as session:
        await service.revoke(session, key_id, NOW + timedelta(days=1))
        acts = (await session.execute(text("select action from journal_entries order by id"))).scalars().all()
        revoked_at = await session.scalar(text("select revoked_at from api_keys where id = :id"), {"id": key_id})
    assert revoked_at == NOW
    assert acts == ["api_key.created", "api_key.revoked"]


@pytest.mark.parametrize("reach", [Reach(partner_id="par_2"), Reach(member_id="mem_1")])
async def test_a_key_out_of_reach_does_not_exist(engine: AsyncEngine, reach: Reach) -> None:
    key_id, plain = await made(engine, Role.PARTNER)
    with pytest.raises(NotFoundError):
        await revoke(engine, key_id, reach)
    await caller(engine, f"Bearer {plain}")
    await revoke(engine, key_id, Reach(partner_id="par_1"))


async def test_an_unknown_key_cannot_be_revoked(engine: AsyncEngine) -> None:
    with pytest.raises(NotFoundError):
        await revoke(engine, "key_none")


async def test_the_last_operator_cannot_lock_the_door(engine: AsyncEngine) -> None:
    first, _ = await made(engine, Role.OPERATOR)
    await made(engine, Role.AUDITOR)
    with pytest.raises(ConflictError):
        await revoke(engine, first)
    second, plain = await made(engine, Role.OPERATOR)
    await revoke(engine, first)
    with pytest.raises(ConflictError):
        await revoke(engine, second)
    await caller(engine, f"Bearer {plain}")


async def test_two_revocations_at_once_leave_an_operator(engine: AsyncEngine) -> None:
    keys = [await made(engine, Role.OPERATOR) for _ in range(2)]
    outcomes = await asyncio.gather(*(revoke(engine, key_id) for key_id, _ in keys), return_exceptions=True)
    assert sorted(type(outcome) for outcome in outcomes if outcome) == [ConflictError]


async def test_an_expired_operator_key_does_not_count(engine: AsyncEngine) -> None:
    only, _ = await made(engine, Role.OPERATOR)
    await made(engine, Role.OPERATOR, expires_at=NOW + timedelta(seconds=1))
    async with transaction(engine) as session:
        with pytest.raises(ConflictError):
            await service.revoke(session, only, NOW + timedelta(seconds=1))


async def test_scopes_narrow(engine: AsyncEngine) -> None:
    _, plain = await made(engine, Role.PARTNER, scopes=frozenset({Scope.SALES_WRITE}))
    assert (await caller(engine, f"Bearer {plain}")).scopes == {Scope.SALES_WRITE}


async def test_scopes_beyond_the_role_are_refused(engine: AsyncEngine) -> None:
    with pytest.raises(ExcessiveScopeError) as refused:
        await made(engine, Role.MEMBER, scopes=frozenset({Scope.LEDGER_READ, Scope.PARTNERS_WRITE}))
    assert [error.detail for error in refused.value.errors] == ["partners:write"]


async def test_a_granter_passes_on_no_more_than_it_holds(engine: AsyncEngine) -> None:
    granter = Principal("key_1", Role.PARTNER, frozenset({Scope.KEYS_WRITE, Scope.SALES_READ}), partner_id="par_1")
    with pytest.raises(ExcessiveScopeError):
        await made(engine, Role.PARTNER, granter, scopes=frozenset({Scope.SALES_WRITE}))
    _, plain = await made(engine, Role.PARTNER, granter)
    assert (await caller(engine, f"Bearer {plain}")).scopes == {Scope.KEYS_WRITE, Scope.SALES_READ}


@pytest.mark.parametrize(
    ("role", "owner", "pointers"),
    [
        (Role.OPERATOR, {"partner_id": "par_1"}, ["/partner_id"]),
        (Role.AUDITOR, {"member_id": "mem_1"}, ["/member_id"]),
        (Role.PARTNER, {"partner_id": None}, ["/partner_id"]),
        (Role.PARTNER, {"staff_id": "stf_1"}, ["/staff_id"]),
        (Role.STAFF, {"staff_id": None}, ["/staff_id"]),
        (Role.MEMBER, {"member_id": None, "partner_id": "par_1"}, ["/member_id", "/partner_id"]),
    ],
)
async def test_a_key_names_its_owner_and_nobody_else(
    engine: AsyncEngine, role: Role, owner: dict[str, Any], pointers: list[str]
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await made(engine, role, **owner)
    assert [error.pointer for error in refused.value.errors] == pointers


async def test_lists_show_the_house_newest_first(engine: AsyncEngine) -> None:
    ids = [(await made(engine, Role.PARTNER))[0] for _ in range(3)]
    await made(engine, Role.PARTNER, partner_id="par_2")
    await made(engine, Role.OPERATOR)
    async with snapshot(engine) as session:
        page = await service.list_keys(session, Reach(partner_id="par_1"), PageQuery(limit=2))
        rest = await service.list_keys(session, Reach(partner_id="par_1"), PageQuery(2, page.next_after))
        everything = await service.list_keys(session, Reach(), PageQuery())
    assert sorted([key.id for key in [*page.rows, *rest.rows]]) == sorted(ids)
    assert rest.next_after is None
    assert len(everything.rows) == 5
