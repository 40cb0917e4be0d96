"""Members who sell, return, redeem and wait, and the tiers that follow."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from factories.earning import a_line
from factories.statements import counted
from factories.tiers import Club, make_club
from mereau.core.db import WriteSession
from mereau.tiers import tasks
from mereau.tiers.evaluation import service

DAY = timedelta(days=1)


class TestFiguresOfEachBasis:
    async def test_tokens_count_whether_spent_or_not(self, club: Club) -> None:
        await club.enforce(10, 30)
        await club.mine(str((await club.sell(a_line(3_000))).entry_id))
        await club.hold(25)
        await club.settle()
        assert await club.tiers() == ["silver", None]

    async def test_what_a_refund_gives_back_counts_once(self, club: Club) -> None:
        await club.enforce(10, 30)
        await club.credit(10)
        await club.credit(25, reason_code="refund")
        await club.settle()
        assert await club.tiers() == ["bronze", None]

    async def test_pending_tokens_do_not_count_before_they_are_sure(self, club: Club) -> None:
        await club.enforce(10, 30)
        await club.credit(30, delay=DAY)
        await club.settle()
        assert await club.tiers() == [None, None]

    async def test_a_return_demotes(self, club: Club) -> None:
        await club.enforce(10, 30)
        sale = await club.sell(a_line(3_000))
        await club.settle()
        await club.bring_back(sale)
        await club.follow_events()
        assert await club.tiers() == [None, None]
        assert await club.moves() == [(None, "silver", "joined", "sale"), ("silver", None, "down", "return")]

    async def test_a_return_of_tokens_that_were_spent_demotes_too(self, club: Club) -> None:
        await club.enforce(10, 30)
        sale = await club.sell(a_line(3_000))
        await club.mine(str(sale.entry_id))
        await club.mine(await club.hold(30))
        await club.bring_back(sale)
        await club.settle()
        assert await club.tiers() == [None, None]

    async def test_spend_counts_what_was_kept_after_discount(self, club: Club) -> None:
        await club.enforce(1_000, 2_000, basis="spend")
        sale = await club.sell(a_line(1_200, discount_minor=100, quantity=3), a_line(1_000), member=0)
        await club.sell(a_line(1_999), member=1)
        await club.settle()
        assert await club.tiers() == ["silver", "bronze"]
        await club.bring_back(sale, (1, 1))
        assert (await club.member_tier()).progress.figure == 1_000 + 1_100 - 367  # type: ignore[union-attr] # in force

    async def test_visits_are_days_of_the_programme(self, club: Club) -> None:
        await club.enforce(1, 2, basis="visits")
        late = club.now.replace(hour=22, minute=30)  # 23:30 in Paris
        for minutes in (0, 10):
            await club.sell(member=0, occurred_at=late - 2 * DAY + timedelta(minutes=minutes))
        await club.sell(member=1, occurred_at=late - 2 * DAY)
        await club.sell(member=1, occurred_at=late - 2 * DAY + timedelta(hours=1))
        await club.settle()
        assert await club.tiers() == ["bronze", "silver"]

    async def test_a_visit_that_came_back_whole_is_none(self, club: Club) -> None:
        await club.enforce(1, basis="visits")
        await club.bring_back(await club.sell(a_line(quantity=2)), (1, 2))
        await club.settle()
        assert await club.tiers() == [None, None]

    async def test_redeeming_lowers_the_balance_and_nothing_else(self, club: Club) -> None:
        await club.enforce(10, 30, basis="balance")
        sale = await club.sell(a_line(3_000))
        await club.mine(str(sale.entry_id))
        await club.settle()
        assert await club.tiers() == ["silver", None]
        await club.hold(25)
        await club.settle()
        assert await club.tiers() == [None, None]
        assert (await club.moves())[-1] == ("silver", None, "down", "tokens")


class TestWindows:
    @pytest.mark.parametrize(("months", "tier"), [(1, None), (3, "bronze")])
    async def test_what_is_older_than_the_window_counts_no_longer(
        self, club: Club, months: int, tier: str | None
    ) -> None:
        await club.enforce(10, window="rolling", window_months=months)
        await club.sell(a_line(1_000), occurred_at=club.now - 40 * DAY)
        await club.settle()
        assert (await club.tiers())[0] == tier

    async def test_a_year_starts_from_zero(self, club: Club) -> None:
        await club.enforce(10, window="calendar_year")
        await club.sell(a_line(1_000), occurred_at=club.now - 10 * DAY)
        await club.settle()
        assert (await club.tiers())[0] is None
        await club.sell(a_line(1_000))
        await club.settle()
        assert (await club.tiers())[0] == "bronze"
        club.now += 365 * DAY
        await club.settle()
        assert (await club.moves())[-1] == ("bronze", None, "down", "daily")

    async def test_since_the_last_change_starts_from_zero_with_each_tier(self, club: Club) -> None:
        await club.enforce(10, 20, window="since_change", grace_days=30)
        await club.sell(a_line(1_500))
        await club.settle()
        club.now += DAY
        await club.sell(a_line(1_500))
        await club.settle()
        assert (await club.tiers())[0] == "bronze"
        await club.sell(a_line(500))
        await club.settle()
        assert (await club.tiers())[0] == "silver"


class TestGrace:
    async def test_who_is_below_keeps_the_tier_until_the_grace_is_over(self, club: Club) -> None:
        await club.enforce(10, grace_days=5)
        sale = await club.sell(a_line(1_000))
        await club.settle()
        await club.bring_back(sale)
        await club.settle()
        assert (await club.tiers())[0] == "bronze"
        below_since = club.now
        club.now = below_since + 5 * DAY - timedelta(seconds=1)
        await club.settle()
        assert (await club.tiers())[0] == "bronze"
        club.now = below_since + 5 * DAY
        assert await tasks.end_graces(club.engine, club.now) == 1
        assert await club.tiers() == [None, None]
        assert (await club.moves())[-1] == ("bronze", None, "down", "grace_over")

    async def test_who_recovers_in_time_is_told_to_have_kept_it(self, club: Club) -> None:
        await club.enforce(10, grace_days=5)
        await club.bring_back(await club.sell(a_line(1_000)))
        sale = await club.sell(a_line(1_000))
        await club.settle()
        await club.bring_back(sale)
        await club.settle()
        club.now += DAY
        await club.sell(a_line(1_000))
        await club.settle()
        assert [move[2] for move in await club.moves()] == ["joined", "kept"]
        club.now += 30 * DAY
        await club.settle()
        assert (await club.tiers())[0] == "bronze"

    async def test_one_step_at_a_time(self, club: Club) -> None:
        await club.enforce(10, 20, 30, grace_days=2, downgrade="one_step")
        sale = await club.sell(a_line(3_000))
        await club.settle()
        await club.bring_back(sale)
        await club.settle()
        seen = []
        for _ in range(4):
            club.now += 2 * DAY
            await club.settle()
            seen.append((await club.tiers())[0])
        assert seen == ["silver", "bronze", None, None]


class TestEvents:
    async def test_each_move_is_told_once_with_its_direction(self, club: Club) -> None:
        await club.enforce(10, 30)
        await club.sell(a_line(1_000))
        await club.settle()
        await club.sell(a_line(2_000))
        await club.settle()
        await club.settle()
        told = [event.payload for event in await club.events("tier.changed")]
        held = await club.held()
        assert [(event["direction"], event["member_id"]) for event in told] == [
            ("joined", club.members[0]),
            ("up", club.members[0]),
        ]
        assert told[0]["from"] is None
        assert (told[1]["from"], told[1]["to"]) == (told[0]["to"], held[club.members[0]].tier_id)

    async def test_without_tiers_events_are_read_and_forgotten(self, club: Club) -> None:
        await club.sell()
        assert await club.follow_events() > 0
        assert await club.follow_events() == 0
        assert await club.walk() == 0

    async def test_the_lowest_tier_may_be_for_everybody(self, club: Club) -> None:
        await club.enforce(0, 10)
        await club.follow_events()
        assert await club.tiers() == ["bronze", "bronze"]
        assert await club.moves() == [(None, "bronze", "joined", "enrolment")]


class TestPasses:
    async def test_a_pass_is_once_a_day_and_once_for_a_new_set(self, club: Club) -> None:
        await club.enforce(0)
        assert [await club.walk(), await club.walk()] == [2, 0]
        club.now += DAY
        assert [await club.walk(), await club.walk()] == [2, 0]
        await club.enforce(0, 5)
        assert [await club.walk(), await club.walk()] == [2, 0]
        assert await club.moves() == [(None, "bronze", "joined", "activation")]

    async def test_a_pass_goes_on_where_it_stopped(self, club: Club) -> None:
        await club.enforce(0)
        assert await tasks.walk_next(club.engine, club.now, chunk=1) == 1
        session = AsyncSession(club.engine)
        assert await service.walk(WriteSession(session), club.now, 1) == 1
        await session.close()  # Killed before its commit.
        assert len(await club.held()) == 1
        assert await club.walk() == 1
        (row,) = await club.rows("select * from tier_passes")
        assert (row.evaluated, row.changed, row.finished_at) == (2, 2, club.now)

    async def test_a_pass_of_yesterday_is_finished_first(self, club: Club) -> None:
        await club.enforce(0)
        await tasks.walk_next(club.engine, club.now, chunk=1)
        club.now += DAY
        await tasks.walk_next(club.engine, club.now, chunk=10)
        (row,) = await club.rows("select * from tier_passes")
        assert (row.evaluated, row.finished_at) == (2, None)

    async def test_a_chunk_takes_as_many_statements_whatever_its_size(
        self, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        club = await make_club(engine, member_count=60)
        await club.enforce(0)
        counts = []
        for chunk in (1, 50):
            with counted(monkeypatch) as sent:
                assert await tasks.walk_next(club.engine, club.now, chunk=chunk) == chunk
            counts.append(len(sent))
        # The first chunk also begins the pass.
        assert counts[1] <= counts[0] < 20


async def test_a_member_who_left_is_judged_no_more(club: Club) -> None:
    await club.enforce(0)
    await club.write("update members set status = 'deleted' where id = :id", id=club.members[0])
    await club.settle()
    assert await club.tiers() == [None, "bronze"]
    assert (await club.member_tier()).progress is None
