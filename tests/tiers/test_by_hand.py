"""Tiers given by hand: by whom, why, until when, over what was held before, and what is left afterwards."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import a_line
from factories.tiers import Club, a_ladder, make_club
from mereau.core.db import transaction
from mereau.core.errors import InvalidInputError, MereauError
from mereau.tiers import service, tasks
from mereau.tiers.domain import Ladder, TierSpec

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)


async def holding(club: Club, tokens: int) -> None:
    """Three tiers of 10, 20 and 30 tokens; the first member holds what so many earn."""
    await club.enforce(10, 20, 30, grace_days=5)
    if tokens:
        await club.sell(a_line(100 * tokens))
    await club.settle()


@pytest.mark.parametrize(
    ("tokens", "given", "direction"),
    [
        (0, "bronze", "joined"),
        (0, "gold", "joined"),
        (10, "bronze", "kept"),
        (10, "silver", "up"),
        (20, "gold", "up"),
        (30, "bronze", "down"),
    ],
)
async def test_it_is_told_as_what_it_is(club: Club, tokens: int, given: str, direction: str) -> None:
    await holding(club, tokens)
    before = (await club.tiers())[0]
    await club.assign(given)
    assert await club.tiers() == [given, None]
    assert (await club.moves())[-1] == (before, given, direction, "assignment")
    event = (await club.events("tier.changed"))[-1]
    assert (event.payload["direction"], event.payload["cause"]) == (direction, "assignment")
    assert event.payload["member_id"] == club.members[0]


async def test_who_gave_it_and_why_is_kept(club: Club) -> None:
    await holding(club, 10)
    await club.assign("gold", reason="a lost parcel", ends_at=club.now + DAY)
    (act,) = await club.rows("select actor, subject_id, detail from journal_entries where action = 'tier.assigned'")
    assert (act.actor, act.subject_id, act.detail["reason"]) == ("key:k", club.members[0], "a lost parcel")
    assert act.detail["ends_at"] == (club.now + DAY).isoformat()
    (change,) = await club.rows("select actor, figures from tier_changes where cause = 'assignment'")
    assert (change.actor, change.figures) == ("key:k", {"set_version": 1})
    assert "parcel" not in str(await club.rows("select payload from outbox_events"))


async def test_what_is_below_is_forgiven_while_it_is_given(club: Club) -> None:
    """A grace that runs ends with the assignment before it, and does not go on behind it."""
    await club.enforce(10, 20, grace_days=5)
    sale = await club.sell(a_line(2_000))
    await club.settle()
    await club.bring_back(sale)
    await club.settle()
    assert (await club.member_tier()).standing.below_since == club.now  # type: ignore[union-attr] # it is held
    await club.assign("silver", ends_at=club.now + 30 * DAY)
    club.now += 29 * DAY
    await club.settle()
    standing = (await club.member_tier()).standing
    assert standing is not None
    assert ((await club.tiers())[0], standing.below_since) == ("silver", None)
    club.now += DAY
    await club.settle()
    assert (await club.moves())[-1] == ("silver", None, "down", "assignment_ended")


@pytest.mark.parametrize(("wait", "held"), [(DAY - TICK, "gold"), (DAY, "bronze"), (9 * DAY, "bronze")])
async def test_its_end_is_an_instant(club: Club, wait: timedelta, held: str) -> None:
    await holding(club, 10)
    await club.assign("gold", ends_at=club.now + DAY)
    club.now += wait
    assert await tasks.end_graces(club.engine, club.now) == (held == "bronze")
    assert (await club.tiers())[0] == held
    standing = (await club.member_tier()).standing
    assert standing is not None
    assert (standing.assigned_by is None) == (held == "bronze")


async def test_an_end_lies_ahead(club: Club) -> None:
    await holding(club, 0)
    for past in (club.now, club.now - DAY):
        with pytest.raises(InvalidInputError) as refusal:
            await club.assign("gold", ends_at=past)
        assert [(error.pointer, error.code) for error in refusal.value.errors] == [("/ends_at", "past")]
    await club.assign("gold", ends_at=club.now + TICK)
    assert (await club.tiers())[0] == "gold"


async def test_a_tier_that_is_not_in_force_any_more_is_not_given(club: Club) -> None:
    await club.enforce(10, 20, 30)
    await club.assign("gold")
    await club.enforce(10, 20)
    with pytest.raises(InvalidInputError) as refusal:
        await club.assign("gold", member=1)
    assert [(error.pointer, error.code) for error in refusal.value.errors] == [("/tier", "unknown")]
    # Who was given it before falls to the next that remains.
    await club.settle()
    assert await club.tiers() == ["silver", None]


async def test_members_are_given_tiers_apart_from_each_other(engine: AsyncEngine) -> None:
    club = await make_club(engine, member_count=3)
    await club.enforce(10, 20)
    await club.assign("silver", member=0)
    await club.assign("bronze", member=1, ends_at=club.now + DAY)
    club.now += DAY
    await club.settle()
    assert await club.tiers() == ["silver", None, None]
    await club.unassign(member=0)
    assert await club.tiers() == [None, None, None]


async def attempt(club: Club, tier: str | None) -> str:
    try:
        if tier is None:
            await club.unassign()
        else:
            await club.assign(tier)
    except MereauError as error:
        return error.code
    return "done"


async def test_hands_side_by_side_write_one_story(club: Club) -> None:
    """Whoever comes last is right, and the history names each tier after the one before it."""
    await holding(club, 10)
    done = await asyncio.gather(*(attempt(club, tier) for tier in ("silver", "gold", None, "silver", None, "gold")))
    assert set(done) <= {"done", "not_found"}
    moves = await club.moves()
    assert [after[0] for after in moves[1:]] == [before[1] for before in moves[:-1]]
    assert moves[-1][1] == (await club.tiers())[0]


async def test_what_a_tier_gives_follows_the_set_in_force(club: Club) -> None:
    """Entitlements are of the tier as it is now, for who held it before as well."""
    await holding(club, 10)
    assert (await club.held())[club.members[0]].entitlements == frozenset()
    gold = TierSpec("bronze", "Bronze", "Bronze", 10, multiplier_percent=150, entitlements=("free_returns", "lounge"))
    version = await club.draft(Ladder(a_ladder(10).qualification, (gold,)))
    assert (await club.held())[club.members[0]].entitlements == frozenset()
    async with transaction(club.engine) as session:
        await service.activate(session, version, club.now, actor="key:k")
    held = (await club.held())[club.members[0]]
    assert (held.entitlements, held.multiplier_percent) == ({"free_returns", "lounge"}, 150)
    assert list(await club.held()) == [club.members[0]]
