"""`mereau keys` and `mereau audit` on a real database: what people and machines are told, and what is refused."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from mereau.auth import service as auth
from mereau.auth.domain import Principal, Role
from mereau.cli import checks, keys
from mereau.cli.session import work
from mereau.core.db import create_engine, snapshot, transaction
from mereau.core.errors import ConfigurationError, ConflictError, InvalidInputError, MereauError, NotFoundError

T = TypeVar("T")
NOW = datetime(2026, 1, 5, tzinfo=UTC)


class Office:
    """The operator's command line on the programme of the ledger's tests; its node is never asked."""

    def __init__(self, data_dir: Path, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.data_dir = data_dir
        self.database_url = database_url
        self.capsys = capsys

    def with_engine(self, act: Callable[[AsyncEngine], Awaitable[T]]) -> T:
        async def run() -> T:
            engine = create_engine(self.database_url, connections_max=2)
            try:
                return await act(engine)
            finally:
                await engine.dispose()

        return asyncio.run(run())

    def create(self, name: str = "till", role: str = "operator", **owner: str) -> dict[str, Any]:
        names = {"partner": None, "member": None} | owner
        assert keys.run_create(name, role=role, data_dir=self.data_dir, as_json=True, **names)
        made: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return made

    def listed(self) -> list[dict[str, Any]]:
        assert keys.run_list(self.data_dir, as_json=True)
        found: list[dict[str, Any]] = json.loads(self.capsys.readouterr().out)["data"]
        return found

    def caller(self, key: str) -> Principal:
        async def ask(engine: AsyncEngine) -> Principal:
            async with snapshot(engine) as session:
                return await auth.authenticate(session, f"Bearer {key}", datetime.now(UTC))

        return self.with_engine(ask)

    def write(self, statement: str) -> None:
        async def run(engine: AsyncEngine) -> None:
            async with transaction(engine) as session:
                await session.execute(text(statement))

        self.with_engine(run)


@pytest.fixture
def office(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Office:
    monkeypatch.setenv("MEREAU_DATABASE_URL", database_url)
    monkeypatch.setenv("MEREAU_CHAIN_URL", "http://127.0.0.1:9")
    return Office(tmp_path, database_url, capsys)


@pytest.fixture
def world(office: Office) -> LedgerWorld:
    async def build(engine: AsyncEngine) -> LedgerWorld:
        world = await make_world(engine, now=NOW)
        await world.credit(40)
        return world

    return office.with_engine(build)


@pytest.mark.parametrize(
    ("role", "owner"),
    [("operator", {}), ("auditor", {}), ("partner", {"partner": "bakery"}), ("member", {"member": "M1"})],
)
def test_a_key_is_told_once_and_works(office: Office, world: LedgerWorld, role: str, owner: dict[str, str]) -> None:
    made = office.create("mine", role, **owner)
    assert made.keys() == {"id", "role", "name", "key"}
    caller = office.caller(made["key"])
    assert (caller.key_id, caller.role) == (made["id"], Role(role))
    assert caller.partner_id == (world.partners[0].id if "partner" in owner else None)
    assert caller.member_id == (world.members[1] if "member" in owner else None)
    (key,) = office.listed()
    assert (key["id"], key["name"], key["role"], key["state"]) == (made["id"], "mine", role, "active")
    assert key["hint"] == f"mk_live_...{made['key'][-4:]}"
    assert made["key"][12:] not in json.dumps(key)


@pytest.mark.parametrize(
    ("role", "owner", "refusal"),
    [
        ("staff", {}, ConfigurationError),
        ("king", {}, ConfigurationError),
        ("partner", {}, InvalidInputError),
        ("operator", {"partner": "bakery"}, InvalidInputError),
        ("partner", {"partner": "nobody"}, NotFoundError),
        ("member", {"member": "nobody"}, NotFoundError),
        ("member", {"member": "M0", "partner": "bakery"}, InvalidInputError),
    ],
)
def test_a_key_of_nobody_is_not_made(
    office: Office, world: LedgerWorld, role: str, owner: dict[str, str], refusal: type[MereauError]
) -> None:
    with pytest.raises(refusal):
        office.create("mine", role, **owner)
    assert office.listed() == []


def test_a_revoked_key_stays_in_the_list_and_the_last_operators_stays_good(office: Office) -> None:
    first, second = office.create("first"), office.create("second")
    assert keys.run_revoke(first["id"], office.data_dir)
    assert keys.run_revoke(first["id"], office.data_dir)
    with pytest.raises(ConflictError):
        keys.run_revoke(second["id"], office.data_dir)
    with pytest.raises(NotFoundError):
        keys.run_revoke("key_none", office.data_dir)
    assert {key["name"]: key["state"] for key in office.listed()} == {"first": "revoked", "second": "active"}
    with pytest.raises(MereauError):
        office.caller(first["key"])
    assert office.caller(second["key"]).role == Role.OPERATOR


def test_every_key_is_listed_however_many_pages_that_takes(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "LIMIT_MAX", 2)
    names = [office.create(f"key {n}")["name"] for n in range(5)]
    assert sorted(key["name"] for key in office.listed()) == names


def test_people_see_hints_in_a_table(office: Office) -> None:
    made = office.create("front desk")
    assert keys.run_list(office.data_dir, as_json=False)
    shown = office.capsys.readouterr().out
    assert "API keys" in shown
    assert f"mk_live_...{made['key'][-4:]}" in shown
    assert "front desk" in shown
    assert made["key"] not in shown


def test_an_audit_that_finds_nothing_says_so(office: Office, world: LedgerWorld) -> None:
    assert checks.run_audit(office.data_dir, as_json=True)
    told = json.loads(office.capsys.readouterr().out)
    assert (told["findings"], len(told["head"])) == (0, 64)


def test_an_audit_tells_of_a_balance_that_somebody_edited(office: Office, world: LedgerWorld) -> None:
    office.write("update lots set remaining = remaining + 1, tokens = tokens + 1")
    assert not checks.run_audit(office.data_dir, as_json=True)
    told = office.capsys.readouterr()
    assert json.loads(told.out)["findings"] >= 1
    assert len(told.err.splitlines()) == json.loads(told.out)["findings"]


def test_what_a_command_refuses_closes_its_connections(office: Office) -> None:
    async def refuse(desk: Any) -> None:
        async with snapshot(desk.engine) as session:
            await session.execute(text("select 1"))
        raise ConflictError("No.")

    with pytest.raises(ConflictError):
        work(office.data_dir, refuse)

    async def others(engine: AsyncEngine) -> int:
        async with snapshot(engine) as session:
            query = (
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and backend_type = 'client backend' and pid <> pg_backend_pid()"
            )
            return int(await session.scalar(text(query)) or 0)

    assert office.with_engine(others) == 0
