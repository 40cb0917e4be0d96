"""Cards side by side: one holder each, ten a member, and only active members are found by them."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from factories.statements import counted
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, MereauError, NotFoundError
from mereau.core.ids import new_id
from mereau.members.cards import service
from mereau.members.cards.domain import card_digest
from mereau.members.cards.service import CARDS_MAX
from mereau.members.models import PaymentCard

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
TOKEN = "tok_9f2c1b7e4d8a4c55"


@pytest.fixture
async def world(engine: AsyncEngine) -> LedgerWorld:
    return await make_world(engine, now=NOW)


async def register(world: LedgerWorld, token: str = TOKEN, member: int = 0) -> tuple[PaymentCard, bool]:
    async with transaction(world.engine) as session:
        return await service.register(session, world.members[member], token, "Visa", NOW, actor="key:test")


async def remove(world: LedgerWorld, card: PaymentCard, member: int = 0) -> None:
    async with transaction(world.engine) as session:
        await service.remove(session, world.members[member], card.id, NOW, actor="key:test")


async def holders(world: LedgerWorld, *tokens: str) -> Mapping[str, str]:
    async with snapshot(world.engine) as session:
        return await service.holders(session, tokens)


async def acts(world: LedgerWorld) -> list[str]:
    return [row.action for row in await world.rows("select action from journal_entries order by id")]


async def test_a_card_leads_to_its_member_and_is_told_of_once(world: LedgerWorld) -> None:
    card, is_new = await register(world)
    again, is_new_again = await register(world)
    assert (is_new, is_new_again, again.id) == (True, False, card.id)
    assert (card.digest, card.name) == (card_digest(TOKEN), "Visa")
    assert await holders(world, TOKEN, "tok_of_nobody_at_all") == {TOKEN: world.members[0]}
    assert await acts(world) == ["card.registered"]


async def test_nobody_takes_over_a_card_that_somebody_has(world: LedgerWorld) -> None:
    card, _ = await register(world)
    with pytest.raises(ConflictError):
        await register(world, member=1)
    with pytest.raises(NotFoundError):
        await remove(world, card, member=1)
    assert await holders(world, TOKEN) == {TOKEN: world.members[0]}
    assert await acts(world) == ["card.registered"]


async def test_a_card_that_was_removed_is_anybodys(world: LedgerWorld) -> None:
    card, _ = await register(world)
    await remove(world, card)
    assert await holders(world, TOKEN) == {}
    with pytest.raises(NotFoundError):
        await remove(world, card)
    other, is_new = await register(world, member=1)
    assert (is_new, other.id != card.id) == (True, True)
    assert await holders(world, TOKEN) == {TOKEN: world.members[1]}
    assert await acts(world) == ["card.registered", "card.removed", "card.registered"]


async def test_of_many_at_once_ten_are_registered(world: LedgerWorld) -> None:
    tokens = [f"{TOKEN}{n}" for n in range(CARDS_MAX + 4)]
    done = await asyncio.gather(*(register(world, token) for token in tokens), return_exceptions=True)
    assert sum(isinstance(one, ConflictError) for one in done) == 4
    assert set((await holders(world, *tokens)).values()) == {world.members[0]}
    assert len(await holders(world, *tokens)) == CARDS_MAX
    known = next(token for token, one in zip(tokens, done, strict=True) if not isinstance(one, BaseException))
    assert not (await register(world, known))[1], "one that is there is no eleventh"


async def test_of_two_members_at_once_one_has_it(world: LedgerWorld) -> None:
    done = await asyncio.gather(*(register(world, member=member) for member in (0, 1)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["ConflictError", "tuple"]


@pytest.mark.parametrize("status", ["blocked", "deleted"])
async def test_who_is_not_active_has_no_use_of_a_card(world: LedgerWorld, status: str) -> None:
    await register(world)
    await world.write("update members set status = :status where id = :id", status=status, id=world.members[0])
    assert await holders(world, TOKEN) == {}
    with pytest.raises(NotFoundError):
        await register(world, f"{TOKEN}2")
    await world.write("update members set status = 'active' where id = :id", id=world.members[0])
    assert await holders(world, TOKEN) == {TOKEN: world.members[0]}, "the card waits for its member"


async def test_nobody_has_no_cards(world: LedgerWorld) -> None:
    refusals: list[type[MereauError]] = []
    world.members.append(new_id("mem", NOW))
    for act in (register(world, member=2), remove(world, (await register(world))[0], member=2)):
        with pytest.raises(MereauError) as refusal:
            await act
        refusals.append(refusal.type)
    assert refusals == [NotFoundError, NotFoundError]


async def test_a_batch_of_cards_is_one_question(world: LedgerWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = [f"{TOKEN}{n}" for n in range(5)]
    for n, token in enumerate(tokens):
        await register(world, token, member=n % 2)
    async with snapshot(world.engine) as session:
        await service.holders(session, tokens)
        with counted(monkeypatch) as sent:
            found: dict[str, Any] = dict(await service.holders(session, tokens))
    assert len(sent) == 1
    assert found == {token: world.members[n % 2] for n, token in enumerate(tokens)}


async def test_cards_are_listed_newest_first_and_are_ones_own(world: LedgerWorld) -> None:
    mine = [(await register(world, f"{TOKEN}{n}"))[0].id for n in range(3)]
    await register(world, f"{TOKEN}9", member=1)
    async with snapshot(world.engine) as session:
        listed = [card.id for card in await service.cards(session, world.members[0])]
    assert listed == sorted(mine, reverse=True)


def test_a_digest_tells_tokens_apart_and_nothing_of_them() -> None:
    digests = {card_digest(token) for token in (TOKEN, TOKEN.upper(), f"{TOKEN} ", f"{TOKEN}0")}
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {32}
