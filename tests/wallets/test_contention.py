"""Who opens wallets at the same time gets the same addresses; indices are neither shared nor skipped."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import START
from mereau.chain.signing import SignerRefusedError
from mereau.core.db import transaction
from mereau.wallets import derivation
from mereau.wallets import service as wallets
from mereau.wallets.derivation import PrivateNode
from mereau.wallets.keystore import Seed
from mereau.wallets.signing import KeystoreSigner

DIGEST = bytes(range(32))


async def ensure(engine: AsyncEngine, *member_ids: str) -> dict[str, bytes]:
    async with transaction(engine) as session:
        return await wallets.ensure_member_wallets(session, member_ids, START)


async def indices(engine: AsyncEngine, branch: int = 0) -> list[int]:
    async with transaction(engine) as session:
        rows = await session.scalars(
            text("select derivation_index from wallets where branch = :branch order by 1"), {"branch": branch}
        )
        return list(rows)


async def test_the_second_of_two_waits_and_finds_what_the_first_made(branches: AsyncEngine) -> None:
    """The branch's lock is held until the first commits; then the second has nothing left to make."""
    async with transaction(branches) as first:
        made = await wallets.ensure_member_wallets(first, ["mem_a", "mem_b"], START)
        second = asyncio.ensure_future(ensure(branches, "mem_b", "mem_a", "mem_c"))
        waiting = text("select count(*) from pg_stat_activity where datname = current_database()"
                       " and wait_event_type = 'Lock'")  # fmt: skip
        async with asyncio.timeout(20):
            while not await first.scalar(waiting):
                await first.execute(text("select pg_stat_clear_snapshot()"))
        assert not second.done()
    answer = await second
    assert {key: answer[key] for key in made} == made
    assert await indices(branches) == [0, 1, 2]


async def test_the_second_takes_the_place_of_a_first_that_failed(branches: AsyncEngine) -> None:
    async def fail() -> None:
        async with transaction(branches) as session:
            await wallets.ensure_member_wallets(session, ["mem_lost"], START)
            await asyncio.sleep(0)
            raise ConnectionError("the till went away")

    outcomes = await asyncio.gather(fail(), ensure(branches, "mem_a"), return_exceptions=True)
    assert isinstance(outcomes[0], ConnectionError)
    assert await indices(branches) == [0]


@pytest.mark.parametrize("seed_number", range(3))
async def test_overlapping_groups_from_many_connections(branches: AsyncEngine, seed_number: int) -> None:
    chance = random.Random(seed_number)
    names = [f"mem_{index}" for index in range(30)]
    groups = [chance.sample(names, 12) for _ in range(10)]
    answers = await asyncio.gather(*(ensure(branches, *group) for group in groups))
    merged: dict[str, bytes] = {}
    for group, answer in zip(groups, answers, strict=True):
        assert set(answer) == set(group)
        assert all(merged.setdefault(name, address) == address for name, address in answer.items())
    assert len(set(merged.values())) == len(merged)
    assert await indices(branches) == list(range(len(merged)))


async def test_branches_do_not_wait_for_each_other(branches: AsyncEngine) -> None:
    async with transaction(branches) as first:
        await wallets.ensure_member_wallets(first, ["mem_a"], START)
        async with asyncio.timeout(20), transaction(branches) as other:
            await wallets.ensure_partner_wallet(other, "par_1")
            await wallets.ensure_role_wallets(other)
    assert (await indices(branches, 0), await indices(branches, 1)) == ([0], [0])


async def test_who_has_a_wallet_waits_for_nobody(branches: AsyncEngine) -> None:
    known = await ensure(branches, "mem_a")
    async with transaction(branches) as first:
        await wallets.ensure_member_wallets(first, ["mem_b"], START)
        async with asyncio.timeout(20):
            assert await ensure(branches, "mem_a") == known


async def test_nobody_asked_for_nobody_is_made(branches: AsyncEngine) -> None:
    assert await ensure(branches) == {}
    assert await indices(branches) == []


async def test_no_address_is_signed_for_until_it_is_committed(branches: AsyncEngine, seed: Seed) -> None:
    signer = KeystoreSigner(seed, branches)
    async with transaction(branches) as session:
        made = await wallets.ensure_member_wallets(session, ["mem_a"], START)
        with pytest.raises(SignerRefusedError, match="No managed key belongs to"):
            await signer.sign([(made["mem_a"], DIGEST)])
    assert len((await signer.sign([(made["mem_a"], DIGEST)]))[0]) == 65


async def test_signers_side_by_side_sign_the_same(branches: AsyncEngine, seed: Seed) -> None:
    made = await ensure(branches, *(f"mem_{index}" for index in range(20)))
    requests = [(address, DIGEST) for address in made.values()]
    signer = KeystoreSigner(seed, branches)
    answers = await asyncio.gather(*(signer.sign(requests) for _ in range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0])) == 20


async def test_a_refusal_names_the_address_and_no_secret(branches: AsyncEngine, seed: Seed) -> None:
    stranger = b"\xab" * 20
    with pytest.raises(SignerRefusedError) as refusal:
        await KeystoreSigner(seed, branches).sign([(stranger, DIGEST)])
    assert "0x" + stranger.hex() in refusal.value.detail
    shown = refusal.value.detail + repr(refusal.value) + repr(KeystoreSigner(seed, branches))
    assert seed.value.hex() not in shown
    assert str(seed.value) not in shown


@given(st.binary(min_size=16, max_size=64), st.integers(0, 2), st.integers(0, 2**31 - 1))
def test_public_and_private_derivation_meet(seed: bytes, branch: int, index: int) -> None:
    """The api derives addresses without the key that the signer derives for them."""
    node = derivation.branch_node(seed, branch)
    private = derivation.private_child(node, index)
    public = derivation.public_child(derivation.public_half(node), index)
    assert derivation.public_half(private) == public
    assert len(derivation.address_of(public.public_key)) == 20


@given(st.binary(min_size=32, max_size=32))
def test_no_node_shows_its_key(key: bytes) -> None:
    for shown in (repr(PrivateNode(key, key)), str(PrivateNode(key, key)), repr(Seed(key)), f"{Seed(key)}"):
        assert shown in {"PrivateNode()", "Seed()"}
