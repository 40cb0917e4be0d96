"""Drafts, previews, activations, tiers given by hand, and a history that tells the whole story."""

import asyncio
import random
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import a_line
from factories.ledger import LedgerWorld
from factories.tiers import Club, a_ladder, make_club
from mereau.core.db import snapshot, transaction
from mereau.core.errors import InvalidInputError, NotFoundError
from mereau.tiers import service, tasks
from mereau.tiers.domain import Ladder, TierSpec
from mereau.tiers.errors import NoTiersError, OtherDraftError
from mereau.tiers.service import Move

DAY = timedelta(days=1)


async def acts(club: LedgerWorld) -> list[str]:
    return [row.action for row in await club.rows("select action from journal_entries where action like 'tier%'")]


class TestDrafts:
    async def test_a_draft_takes_the_place_of_the_one_before(self, club: Club) -> None:
        first, second = await club.draft(a_ladder(1)), await club.draft(a_ladder(1, 2))
        assert second > first
        statuses = await club.rows("select version, status from tier_sets order by version")
        assert statuses == [(first, "retired"), (second, "draft")]
        assert await acts(club) == ["tiers.drafted"] * 2

    async def test_what_is_wrong_changes_nothing(self, club: Club) -> None:
        await club.draft(a_ladder(1))
        with pytest.raises(InvalidInputError):
            await club.draft(a_ladder(5, 5))
        async with snapshot(club.engine) as session:
            draft = await service.find_set(session, "draft")
        assert draft is not None
        assert len(draft.document["tiers"]) == 1

    async def test_a_draft_is_forgotten_once(self, club: Club) -> None:
        await club.draft(a_ladder(1))
        async with transaction(club.engine) as session:
            await service.drop_draft(session, club.now, actor="key:k")
        with pytest.raises(NotFoundError):
            await club.preview()
        assert await club.draft(a_ladder(1)) == 2

    async def test_another_draft_than_the_one_meant_is_not_put_in_force(self, club: Club) -> None:
        version = await club.draft(a_ladder(1))
        async with transaction(club.engine) as session:
            with pytest.raises(OtherDraftError):
                await service.activate(session, version + 1, club.now, actor="key:k")
            done = await service.activate(session, version, club.now, actor="key:k")
            again = await service.activate(session, version, club.now + DAY, actor="key:k")
            assert (done.version, again.activated_at) == (version, club.now)
            with pytest.raises(NotFoundError):
                await service.activate(session, version + 1, club.now, actor="key:k")

    async def test_a_tier_keeps_its_id_through_all_versions(self, club: Club) -> None:
        await club.enforce(10, 20)
        async with snapshot(club.engine) as session:
            before = {tier.external_id: tier.id for tier in await service.tiers_in_force(session)}
        await club.enforce(5, 15, 30)
        async with snapshot(club.engine) as session:
            after = await service.tiers_in_force(session)
        assert [(tier.rank, tier.threshold) for tier in after] == [(1, 5), (2, 15), (3, 30)]
        assert before.items() <= {tier.external_id: tier.id for tier in after}.items()
        assert {row.status for row in await club.rows("select status from tier_sets")} == {"active", "retired"}


class TestPreview:
    async def test_what_it_counts_is_what_activating_does(self, engine: AsyncEngine) -> None:
        club = await make_club(engine, member_count=8)
        await club.enforce(10, 30, grace_days=3)
        sales = [
            await club.sell(a_line(100 * tokens), member=member)
            for member, tokens in enumerate((5, 12, 30, 40, 90, 31))
        ]
        await club.settle()
        await club.bring_back(sales[5])
        await club.follow_events()
        await club.assign("silver", member=6)
        before = await club.tiers()
        await club.draft(a_ladder(10, 35, 80))
        said = await club.preview()
        assert await club.tiers() == before
        await club.enforce(10, 35, 80)
        await club.walk()
        moved: dict[tuple[str | None, str | None], int] = {}
        for pair in zip(before, await club.tiers(), strict=True):
            if pair[0] != pair[1]:
                moved[pair] = moved.get(pair, 0) + 1
        assert {(move.from_tier, move.to_tier): move.members for move in said.moves} == moved
        assert sum(moved.values()) + said.unchanged + said.on_notice == len(club.members)
        assert Move("silver", "gold", "up", 1) in said.moves

    async def test_who_would_be_below_is_on_notice(self, club: Club) -> None:
        await club.enforce(10)
        await club.sell(a_line(1_500))
        await club.settle()
        await club.draft(a_ladder(20, grace_days=5))
        said = await club.preview()
        assert (said.moves, said.on_notice, said.unchanged) == ([], 1, 1)

    async def test_a_tier_that_goes_leaves_the_next_below(self, club: Club) -> None:
        await club.enforce(10, 20)
        await club.sell(a_line(2_500))
        await club.settle()
        await club.draft(a_ladder(10, grace_days=5))
        assert [(move.from_tier, move.to_tier) for move in (await club.preview()).moves] == [("silver", "bronze")]
        await club.enforce(10, grace_days=5)
        await club.settle()
        assert await club.tiers() == ["bronze", None]
        assert (await club.moves())[-1] == ("silver", "bronze", "down", "activation")

    async def test_a_tier_under_another_name_is_kept(self, club: Club) -> None:
        """Nobody is told to have fallen whose tier demands what it demanded before."""
        await club.enforce(10, 20)
        await club.sell(a_line(2_500), member=0)
        await club.sell(a_line(1_000), member=1)
        await club.settle()
        qualification = a_ladder(10).qualification
        renamed = (TierSpec("start", "Départ", "Start", 10), TierSpec("top", "Haut", "Top", 19))
        await club.draft(Ladder(qualification, renamed))
        said = {(move.from_tier, move.to_tier, move.direction) for move in (await club.preview()).moves}
        assert said == {("bronze", "start", "kept"), ("silver", "top", "down")}
        async with transaction(club.engine) as session:
            await service.activate(session, 2, club.now, actor="key:k")
        await club.settle()
        assert [(await club.moves(member))[-1][:3] for member in (0, 1)] == [
            ("silver", "top", "down"),
            ("bronze", "start", "kept"),
        ]
        await club.enforce(10, 19)
        await club.assign("bronze", member=1)
        assert (await club.moves(1))[-1] == ("start", "bronze", "kept", "assignment")


class TestByHand:
    async def test_no_evaluation_touches_it_until_its_end(self, club: Club) -> None:
        await club.enforce(10, 20, 30)
        await club.assign("silver", ends_at=club.now + 2 * DAY)
        await club.sell(a_line(9_000))
        await club.settle()
        assert (await club.tiers())[0] == "silver"
        club.now += 2 * DAY
        await tasks.end_graces(club.engine, club.now)
        assert (await club.tiers())[0] == "gold"
        assert [move[2:] for move in await club.moves()] == [("joined", "assignment"), ("up", "assignment_ended")]

    async def test_taking_it_away_leaves_what_was_earned(self, club: Club) -> None:
        await club.enforce(10, 20, grace_days=30)
        await club.sell(a_line(1_000))
        await club.settle()
        await club.assign("silver")
        found = await club.member_tier()
        assert found.standing is not None
        assert (found.standing.assigned_reason, found.standing.assigned_until) == ("apology", None)
        await club.unassign()
        assert (await club.tiers())[0] == "bronze"
        assert [move[2] for move in await club.moves()] == ["joined", "up", "down"]
        assert (await acts(club))[-2:] == ["tier.assigned", "tier.unassigned"]
        with pytest.raises(NotFoundError):
            await club.unassign()

    async def test_the_same_tier_by_hand_is_kept_and_another_end_replaces_the_first(self, club: Club) -> None:
        await club.enforce(0, 10)
        await club.settle()
        await club.assign("bronze", ends_at=club.now + DAY)
        await club.assign("silver")
        await club.assign("bronze")
        assert [move[2] for move in await club.moves()] == ["joined", "kept", "up", "down"]
        club.now += 2 * DAY
        await club.settle()
        assert (await club.tiers())[0] == "bronze"

    async def test_what_cannot_be_given_is_refused(self, club: Club) -> None:
        with pytest.raises(NoTiersError):
            await club.assign("gold")
        await club.enforce(10)
        with pytest.raises(InvalidInputError) as caught:
            await club.assign("gold", ends_at=club.now)
        assert [found.pointer for found in caught.value.errors] == ["/tier", "/ends_at"]
        assert await club.tiers() == [None, None]


@pytest.mark.parametrize("seed", range(3))
async def test_replaying_the_history_gives_what_everybody_holds(engine: AsyncEngine, seed: int) -> None:
    """Sales, returns, assignments, new sets and waiting in any order, judged whenever."""
    draw = random.Random(seed)
    club = await make_club(engine, member_count=3)
    sales = []
    for _ in range(25):
        match draw.randrange(7):
            case 0 | 1:
                sales.append(await club.sell(a_line(draw.choice((500, 2_000, 5_000))), member=draw.randrange(3)))
            case 2 if sales:
                await club.bring_back(sales.pop(draw.randrange(len(sales))))
            case 3:
                thresholds = draw.sample((0, 10, 20, 40), draw.randint(1, 3))
                downgrade = draw.choice(("by_value", "one_step", "never"))
                await club.enforce(*sorted(thresholds), grace_days=draw.choice((0, 3)), downgrade=downgrade)
            case 4 if held := [tier for tier in await club.tiers() if tier]:
                in_force = await club.rows(
                    "select 1 from tiers where status = 'active' and external_id = :x", x=held[0]
                )
                if in_force:
                    await club.assign(held[0], member=draw.randrange(3), ends_at=club.now + draw.choice((1, 5)) * DAY)
            case 5:
                club.now += draw.choice((1, 4)) * DAY
            case _:
                await club.settle()
    await club.settle()
    replayed: dict[str, str | None] = {}
    for row in await club.rows("select * from tier_changes order by seq"):
        assert replayed.get(row.member_id) == row.from_tier_id
        replayed[row.member_id] = row.to_tier_id
    standings = {row.member_id: row.tier_id for row in await club.rows("select * from tier_standings")}
    assert {member: tier for member, tier in standings.items() if tier} == {
        member: tier for member, tier in replayed.items() if tier
    }
    before = await club.rows("select * from tier_standings order by member_id")
    await club.settle()
    assert await club.rows("select * from tier_standings order by member_id") == before


async def test_judging_and_giving_at_once_lose_nothing(club: Club) -> None:
    await club.enforce(10, 20)
    await club.sell(a_line(1_000))
    await asyncio.gather(
        club.follow_events(), club.walk(), club.assign("silver", member=1), club.follow_events(), club.walk(),
    )  # fmt: skip
    assert await club.tiers() == ["bronze", "silver"]
    assert [move[2] for member in (0, 1) for move in await club.moves(member)] == ["joined", "joined"]
