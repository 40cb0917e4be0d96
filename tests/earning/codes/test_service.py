"""Codes at the service's door: their windows, their uses, and what is written down."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, make_shop
from factories.refusals import refused
from factories.rules import fixed
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, InvalidInputError, NotFoundError
from mereau.earning.codes import service
from mereau.earning.codes.errors import CodeEarnsNothingError, CodeNotValidError
from mereau.earning.codes.models import CodePool
from mereau.earning.codes.service import Claimed, PoolDraft

MOMENT = timedelta(microseconds=1)
PRINTED = "SPRING-2026-AAAA"


@pytest.fixture
async def shop(engine: AsyncEngine) -> Shop:
    """Ten tokens for any code, of the first partner."""
    shop = await make_shop(engine, None, member_count=6)
    await shop.activate(fixed(10) | {"trigger": "code", "issuer_partner_id": shop.partners[0].id}, "flyer")
    return shop


async def a_pool(shop: Shop, **changes: Any) -> CodePool:
    fields: dict[str, Any] = {
        "external_id": shop.next_id("pool"), "partner_id": None, "campaign": None, "object_reference": None,
        "attributes": {}, "uses_per_code": 1, "valid_from": None, "valid_until": None,
    }  # fmt: skip
    async with transaction(shop.engine) as session:
        return await service.create_pool(session, PoolDraft(**fields | changes), shop.now, actor="key:test")


async def codes_of(shop: Shop, pool: CodePool, count: int = 1) -> list[str]:
    async with transaction(shop.engine) as session:
        return await service.generate(session, pool.id, count, shop.now, actor="key:test")


async def upload(shop: Shop, pool: CodePool, *codes: str) -> int:
    async with transaction(shop.engine) as session:
        return await service.upload(session, pool.id, codes, shop.now, actor="key:test")


async def claim(shop: Shop, code: str, member: int = 0, *, after: timedelta = timedelta()) -> Claimed:
    async with transaction(shop.engine) as session:
        return await service.claim(session, shop.members[member], code, shop.now + after, actor="key:test")


async def close(shop: Shop, pool: CodePool) -> CodePool:
    async with transaction(shop.engine) as session:
        return await service.close(session, pool.id, shop.now, actor="key:test")


async def figures(shop: Shop, pool: CodePool) -> tuple[int, int, int]:
    async with snapshot(shop.engine) as session:
        return await service.figures(session, pool.id)


async def acts(shop: Shop) -> list[tuple[str, Any]]:
    rows = await shop.rows("select action, detail from journal_entries where action like 'code%' order by id")
    return [(row.action, row.detail) for row in rows]


@pytest.mark.parametrize(
    ("window", "after", "is_valid"),
    [
        ({"valid_from": timedelta()}, timedelta(), True),
        ({"valid_from": timedelta()}, -MOMENT, False),
        ({"valid_until": timedelta(hours=1)}, timedelta(hours=1) - MOMENT, True),
        ({"valid_until": timedelta(hours=1)}, timedelta(hours=1), False),
        ({"valid_from": timedelta(), "valid_until": MOMENT}, timedelta(), True),
        ({}, timedelta(days=4_000), True),
    ],
    ids=str,
)
async def test_a_code_is_good_from_its_first_instant_until_before_its_last(
    shop: Shop, window: dict[str, timedelta], after: timedelta, *, is_valid: bool
) -> None:
    pool = await a_pool(shop, **{name: shop.now + at for name, at in window.items()})
    (code,) = await codes_of(shop, pool)
    if is_valid:
        assert (await claim(shop, code, after=after)).tokens == 10
    else:
        with pytest.raises(CodeNotValidError):
            await claim(shop, code, after=after)
    assert await figures(shop, pool) == ((1, 0, 10) if is_valid else (1, 1, 0))


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"valid_from": timedelta(hours=1), "valid_until": timedelta(hours=1)}, [("/valid_until", "empty_window")]),
        ({"valid_from": timedelta(hours=1), "valid_until": timedelta()}, [("/valid_until", "empty_window")]),
        ({"campaign": "no such rule"}, [("/campaign", "unknown")]),
        ({"campaign": "none", "partner_id": "par_none"}, [("/campaign", "unknown"), ("/partner_id", "unknown")]),
        ({"campaign": "flyer", "valid_from": timedelta(), "valid_until": MOMENT}, []),
    ],
    ids=str,
)
async def test_a_pool_makes_sense_or_is_not_made(
    shop: Shop, changes: dict[str, Any], wrong: list[tuple[str, str]]
) -> None:
    said = {name: shop.now + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    assert await refused(a_pool(shop, **said)) == wrong
    assert await shop.count("code_pools") == (0 if wrong else 1)


async def test_pools_made_at_once_under_one_name_are_one(shop: Shop) -> None:
    done = await asyncio.gather(*(a_pool(shop, external_id="spring") for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["CodePool"] + ["ConflictError"] * 3
    assert [action for action, _ in await acts(shop)] == ["code_pool.created"]
    with pytest.raises(ConflictError):
        await a_pool(shop, external_id="spring")


async def test_a_closed_pool_is_closed_once_and_its_codes_are_no_codes(shop: Shop) -> None:
    pool = await a_pool(shop)
    one, other = await codes_of(shop, pool, 2)
    await claim(shop, one)
    assert [(await close(shop, pool)).status for _ in range(2)] == ["closed", "closed"]
    with pytest.raises(CodeNotValidError):
        await claim(shop, other)
    assert await figures(shop, pool) == (2, 1, 10), "what was credited stays"
    assert [action for action, _ in await acts(shop)].count("code_pool.closed") == 1


@pytest.mark.parametrize("act", ["close", "generate", "upload", "get_pool"])
async def test_a_pool_that_is_not_there_is_not_found(shop: Shop, act: str) -> None:
    async with transaction(shop.engine) as session:
        more: tuple[Any, ...] = {"generate": (1, shop.now), "upload": ([PRINTED], shop.now), "get_pool": ()}.get(
            act, (shop.now,)
        )
        options = {} if act == "get_pool" else {"actor": "key:test"}
        with pytest.raises(NotFoundError):
            await getattr(service, act)(session, "cpl_none", *more, **options)


async def test_uploads_with_common_codes_at_once_add_each_once(shop: Shop) -> None:
    """In opposite orders, so that whoever locked as they came would wait for the other for ever."""
    pools = [await a_pool(shop), await a_pool(shop)]
    codes = [f"SPRING-2026-{n:04}" for n in range(200)]
    added = await asyncio.gather(upload(shop, pools[0], *codes), upload(shop, pools[1], *reversed(codes)))
    assert sum(added) == 200
    assert [(await figures(shop, pool))[0] for pool in pools] == list(added)


async def test_one_code_of_many_that_is_too_short_adds_none(shop: Shop) -> None:
    pool = await a_pool(shop)
    with pytest.raises(InvalidInputError) as refusal:
        await upload(shop, pool, PRINTED, "SHORT", "ELEVEN-CHAR", "CODE WITH É 2026")
    assert [found.pointer for found in refusal.value.errors] == ["/codes/1", "/codes/2", "/codes/3"]
    assert await figures(shop, pool) == (0, 0, 0)


async def test_a_code_has_so_many_uses_and_each_member_one(shop: Shop) -> None:
    pool = await a_pool(shop, uses_per_code=3)
    (code,) = await codes_of(shop, pool)
    done = await asyncio.gather(
        *(claim(shop, code, member) for member in (0, 0, 1, 2, 3, 4, 4)), return_exceptions=True
    )
    claimed = [one for one in done if isinstance(one, Claimed)]
    assert len(claimed) == len({one.member_id for one in claimed}) == 3
    assert {type(one) for one in done} == {Claimed, CodeNotValidError}
    assert await figures(shop, pool) == (1, 0, 30)
    assert await shop.count("code_claims") == await shop.count("entries") == 3


async def test_a_second_claim_of_a_member_leaves_the_use_to_somebody_else(shop: Shop) -> None:
    pool = await a_pool(shop, uses_per_code=2)
    (code,) = await codes_of(shop, pool)
    await claim(shop, code)
    with pytest.raises(CodeNotValidError):
        await claim(shop, code)
    assert await figures(shop, pool) == (1, 1, 10)
    assert (await claim(shop, code, 1)).tokens == 10


@pytest.mark.parametrize("attributes", [{"town": "Lille"}, {}], ids=str)
async def test_a_rule_may_want_what_the_pool_says(shop: Shop, attributes: dict[str, Any]) -> None:
    """Where no rule gives anything the code stays good: somebody may yet switch one on."""
    wants = {"trigger": "code", "match": {"town": ["Lille"]}, "issuer_partner_id": shop.partners[0].id}
    await shop.activate(fixed(25) | wants, "flyer")
    pool = await a_pool(shop, attributes=attributes)
    (code,) = await codes_of(shop, pool)
    if attributes:
        assert (await claim(shop, code)).tokens == 25
    else:
        with pytest.raises(CodeEarnsNothingError):
            await claim(shop, code)
    assert (await figures(shop, pool))[1] == (0 if attributes else 1)


async def test_a_claim_is_written_down_without_its_code(shop: Shop) -> None:
    pool = await a_pool(shop, object_reference="mug 17", partner_id=shop.partners[1].id)
    (code,) = await codes_of(shop, pool)
    done = await claim(shop, f" {code.lower()} ".replace("-", " "))
    assert (done.member_id, done.pool.id, done.tokens, len(done.entry_ids)) == (shop.members[0], pool.id, 10, 1)
    detail = {"member_id": shop.members[0], "pool_id": pool.id, "tokens": 10}
    assert (await acts(shop))[-1] == ("code.claimed", detail)
    (event,) = await shop.events("code.claimed")
    assert (event.subject_id, event.payload) == (done.id, detail)
    (entry,) = await shop.rows("select * from entries")
    assert (entry.source_id, entry.partner_id, entry.source_reference) == (
        done.id,
        shop.partners[1].id,
        pool.external_id,
    )


@pytest.mark.parametrize("status", ["blocked", "deleted"])
async def test_who_is_not_active_uses_nothing(shop: Shop, status: str) -> None:
    pool = await a_pool(shop)
    (code,) = await codes_of(shop, pool)
    await shop.write("update members set status = :status where id = :id", status=status, id=shop.members[0])
    with pytest.raises(NotFoundError):
        await claim(shop, code)
    assert await figures(shop, pool) == (1, 1, 0)


async def test_the_newest_pool_comes_first_and_a_place_is_gone_on_from(shop: Shop) -> None:
    ids = sorted([(await a_pool(shop)).id for _ in range(5)], reverse=True)
    async with snapshot(shop.engine) as session:
        first = [pool.id for pool in await service.pools(session, None, 3)]
        rest = [pool.id for pool in await service.pools(session, first[-1], 3)]
    assert (first, rest) == (ids[:3], ids[3:])
