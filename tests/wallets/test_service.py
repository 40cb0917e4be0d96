"""Addresses: one per owner, from public keys alone, whoever asks at the same time."""

import asyncio

import pytest
from eth_account import Account
from eth_account.hdaccount import HDPath
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import START
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConfigurationError
from mereau.wallets import service as wallets
from mereau.wallets.domain import ROLES
from mereau.wallets.keystore import Seed


def oracle(seed: Seed, branch: int, index: int) -> bytes:
    """The address that eth_account's HD wallet gives this child."""
    key = HDPath(f"m/44'/60'/{branch}'/0/{index}").derive(seed.value)
    return bytes.fromhex(Account.from_key(key).address[2:])


async def ensure(engine: AsyncEngine, *member_ids: str) -> dict[str, bytes]:
    async with transaction(engine) as session:
        return await wallets.ensure_member_wallets(session, member_ids, START)


async def test_members_get_the_next_addresses_of_their_branch(branches: AsyncEngine, seed: Seed) -> None:
    first = await ensure(branches, "mem_b", "mem_a", "mem_b")
    second = await ensure(branches, "mem_a", "mem_c")
    assert first == {"mem_b": oracle(seed, 0, 0), "mem_a": oracle(seed, 0, 1)}
    assert second == {"mem_a": oracle(seed, 0, 1), "mem_c": oracle(seed, 0, 2)}


async def test_partners_and_roles_have_branches_of_their_own(branches: AsyncEngine, seed: Seed) -> None:
    async with transaction(branches) as session:
        partner = await wallets.ensure_partner_wallet(session, "par_1")
        again = await wallets.ensure_partner_wallet(session, "par_1")
        roles = await wallets.ensure_role_wallets(session)
    assert partner == again == oracle(seed, 1, 0)
    assert roles == {role: oracle(seed, 2, index) for index, role in enumerate(ROLES)}
    assert len({partner, *roles.values()}) == 6


async def test_addresses_of_leaves_out_who_has_none(branches: AsyncEngine) -> None:
    given = await ensure(branches, "mem_a", "mem_b")
    async with snapshot(branches) as session:
        assert await wallets.addresses_of(session, ["mem_a", "mem_z"]) == {"mem_a": given["mem_a"]}
        assert await wallets.all_member_addresses(session) == given


async def test_thousands_take_as_many_statements_as_one(branches: AsyncEngine) -> None:
    statements: list[str] = []
    event.listen(branches.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    await ensure(branches, "mem_first")
    one = len(statements)
    statements.clear()
    many = await ensure(branches, *(f"mem_{index}" for index in range(1000)))
    assert len(statements) == one
    assert len(set(many.values())) == 1000


async def test_parallel_calls_for_the_same_members_agree(branches: AsyncEngine) -> None:
    names = [f"mem_{index}" for index in range(20)]
    answers = await asyncio.gather(*(ensure(branches, *names[start:], *names[:start]) for start in range(8)))
    assert all(answer == answers[0] for answer in answers)
    async with snapshot(branches) as session:
        rows = await session.execute(text("select count(*), max(derivation_index) from wallets"))
        assert tuple(rows.one()) == (20, 19)


async def test_a_call_that_fails_takes_no_index(branches: AsyncEngine, seed: Seed) -> None:
    async def fail() -> None:
        async with transaction(branches) as session:
            await wallets.ensure_member_wallets(session, ["mem_lost"], START)
            raise RuntimeError("the request broke off")

    with pytest.raises(RuntimeError):
        await fail()
    assert await ensure(branches, "mem_a") == {"mem_a": oracle(seed, 0, 0)}


async def test_storing_the_branches_again_changes_nothing(branches: AsyncEngine, seed: Seed) -> None:
    given = await ensure(branches, "mem_a")
    async with transaction(branches) as session:
        await wallets.init_branches(session, seed)
    assert (await ensure(branches, "mem_a", "mem_b"))["mem_a"] == given["mem_a"]


async def test_another_seed_is_refused(branches: AsyncEngine) -> None:
    async with transaction(branches) as session:
        with pytest.raises(ConfigurationError, match="does not belong to this database"):
            await wallets.init_branches(session, Seed(bytes(32)))


async def test_without_branches_there_are_no_wallets(engine: AsyncEngine) -> None:
    with pytest.raises(ConfigurationError, match="not set up"):
        await ensure(engine, "mem_a")
