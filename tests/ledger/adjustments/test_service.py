"""Credits and debits by hand on a real database: limits, reasons, what a debit takes, and what is written down."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from factories.adjustments import Counter, refused
from mereau.core.db import transaction
from mereau.core.errors import InvalidInputError
from mereau.ledger.adjustments import service
from mereau.ledger.replay.service import find_differences
from mereau.programs.lives.domain import Rolling
from mereau.programs.settings import service as settings
from mereau.programs.settings.service import SettingsChange

DAY = timedelta(days=1)


async def sound(counter: Counter) -> bool:
    """Counters, lots, chain orders and entries agree."""
    return (
        await counter.world.drift() == 0
        and [difference async for difference in find_differences(counter.world.engine)] == []
    )


async def test_a_credit_is_an_entry_with_a_reason(counter: Counter) -> None:
    done = await counter.adjust(20, reason_code="visit_without_sale", note="Came in for the tasting.")
    assert (done.state, done.applied_tokens, done.requested_by, done.expires_at) == ("applied", 20, "stf_lou", None)
    assert await counter.entries(done) == [("issue", 20, "visit_without_sale")]
    assert await counter.world.counters() == (20, 0, 0, 0)
    (entry,) = await counter.world.rows("select * from entries where source_id = :id", id=done.id)
    assert (entry.partner_id, entry.staff_id, entry.rule) == (counter.world.partners[0].id, "stf_lou", None)
    assert entry.source_reference == hashlib.sha256(f"{done.id}\nCame in for the tasting.".encode()).hexdigest()
    assert await counter.world.queued() == [entry.id]
    assert await sound(counter)


async def test_it_is_journalled_and_told_without_its_note(counter: Counter) -> None:
    done = await counter.adjust(20, note="Camille waited an hour.")
    assert await counter.acts() == [("key_lou", "adjustment.applied")]
    (act,) = await counter.world.rows("select * from journal_entries where subject_id = :id", id=done.id)
    (event,) = await counter.world.events("adjustment.applied")
    assert act.detail == event.payload
    assert (act.detail["direction"], act.detail["applied_tokens"], act.detail["reason_code"]) == (
        "credit", 20, "goodwill",
    )  # fmt: skip
    assert "Camille" not in str(act.detail)
    spoken = await counter.world.rows("select 1 from entries where source_reference like '%Camille%'")
    assert spoken == []


async def test_its_tokens_live_as_the_programme_says(counter: Counter) -> None:
    async with transaction(counter.world.engine) as session:
        wanted = SettingsChange(expiry=Rolling(amount=90))
        await settings.change(session, wanted, None, counter.world.now, actor="key_ops")
    done = await counter.adjust(20)
    (entry,) = await counter.world.rows("select id from entries where source_id = :id", id=done.id)
    lot = await counter.world.lot(entry.id)
    assert (lot.state, lot.activates_at, lot.expires_at) == ("active", counter.world.now, counter.world.now + 90 * DAY)


async def test_a_debit_takes_pending_tokens_first_and_orders_the_rest(counter: Counter) -> None:
    active = await counter.world.credit(30)
    pending = await counter.world.credit(10, delay=DAY)
    done = await counter.take(25)
    assert (done.applied_tokens, await counter.entries(done)) == (25, [("reverse", 15, "correction")])
    assert await counter.world.counters() == (15, 0, 0, 0)
    assert await counter.world.statuses(active, pending) == ["accepted", "cancelled"]
    assert (await counter.world.lot(active)).corrected == 15
    assert await sound(counter)


async def test_a_debit_leaves_other_partners_tokens_and_says_so(counter: Counter) -> None:
    mine, theirs = await counter.world.credit(12), await counter.world.credit(40, partner=1)
    held = await counter.world.hold(5)
    done = await counter.take(30)
    assert (done.tokens, done.applied_tokens) == (30, 7)
    assert ((await counter.world.lot(mine)).remaining, (await counter.world.lot(theirs)).remaining) == (0, 40)
    assert await refused(counter.take(30)) == "nothing_to_take"
    await counter.world.void(held)
    assert (await counter.take(30)).applied_tokens == 5
    assert await sound(counter)


async def test_a_debit_of_a_partner_that_issued_nothing_writes_nothing(counter: Counter) -> None:
    await counter.world.credit(40, partner=1)
    assert await refused(counter.take(30)) == "nothing_to_take"
    assert (await counter.counted(), await counter.acts()) == ({}, [])
    assert await counter.world.rows("select 1 from adjustments") == []


async def test_goods_may_come_back_after_a_correction(counter: Counter) -> None:
    """The return takes what is left, owes nothing, and is not refused as if the goods had come back before."""
    sale = await counter.world.credit(40)
    await counter.take(15)
    done = await counter.world.reverse(sale, 40)
    assert (done.reversed_tokens, done.forgiven_tokens, done.debt_tokens) == (25, 15, 0)
    assert await refused(counter.world.reverse(sale, 1)) == "invalid_input"
    assert await counter.world.counters() == (0, 0, 0, 0)
    assert await sound(counter)


async def test_a_correction_that_the_chain_refuses_gives_its_tokens_back(counter: Counter) -> None:
    await counter.world.mine(await counter.world.credit(40))
    await counter.take(15)
    await counter.world.reject(*await counter.world.queued(), reason="LoyaltyReversal")
    assert await counter.world.counters() == (40, 0, 0, 0)
    assert await sound(counter)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"direction": "debit"}, [("/reason_code", "wrong_direction")]),
        ({"reason_code": "migration"}, [("/reason_code", "operators_only")]),
        ({"partner": 1}, [("/partner_id", "unknown")]),
    ],
)
async def test_what_does_not_fit_is_named(
    counter: Counter, changes: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    """The person works for the first partner, whichever is named."""
    draft = counter.draft(10, **changes)
    async with transaction(counter.world.engine) as session:
        with pytest.raises(InvalidInputError) as refusal:
            await service.adjust(session, draft, counter.who("lou"), counter.world.now)
    assert [(error.pointer, error.code) for error in refusal.value.errors] == found


async def test_who_is_blocked_is_corrected_and_not_rewarded(counter: Counter) -> None:
    await counter.world.credit(30)
    await counter.world.write("update members set status = 'blocked'")
    assert await refused(counter.adjust(10)) == "member_inactive"
    assert (await counter.take(10)).applied_tokens == 10
    assert await counter.counted() == {"stf_lou": 10, counter.world.members[0]: 10}


async def test_who_may_no_longer_issue_takes_back_what_it_issued(counter: Counter) -> None:
    await counter.world.credit(30)
    await counter.world.write("update partners set status = 'inactive'")
    assert await refused(counter.adjust(10)) == "invalid_input"
    assert (await counter.take(10)).applied_tokens == 10


class TestLimits:
    async def test_one_person_moves_so_much_in_a_day(self, counter: Counter) -> None:
        for member in (0, 1):
            await counter.adjust(45, member=member)
        assert await refused(counter.adjust(11, member=2)) == "adjustment_limit"
        assert (await counter.adjust(10, member=2)).applied_tokens == 10
        assert (await counter.adjust(11, "sam", member=2)).applied_tokens == 11

    async def test_credits_and_debits_count_alike(self, counter: Counter) -> None:
        await counter.adjust(40)
        await counter.take(20)
        assert await refused(counter.take(1)) == "adjustment_limit"
        assert await counter.counted() == {"stf_lou": 60, counter.world.members[0]: 60}

    async def test_so_much_is_moved_for_a_member_whoever_does_it(self, counter: Counter) -> None:
        await counter.adjust(40, "lou")
        await counter.adjust(20, "ops")
        for who in ("sam", "ada", "shop"):
            assert await refused(counter.adjust(1, who)) == "adjustment_limit"
        assert (await counter.adjust(1, "sam", member=1)).applied_tokens == 1

    @pytest.mark.parametrize(
        ("then", "is_another"),
        [
            (datetime(2026, 7, 5, 21, 59, 59, tzinfo=UTC), False),
            (datetime(2026, 7, 5, 22, 0, 0, tzinfo=UTC), True),
            (datetime(2026, 7, 6, 1, 0, 0, tzinfo=UTC), True),
        ],
    )
    async def test_a_day_ends_at_midnight_of_the_programme(
        self, counter: Counter, then: datetime, is_another: bool
    ) -> None:
        """Paris in summer: 22:00 UTC."""
        counter.world.now = datetime(2026, 7, 4, 22, 30, tzinfo=UTC)
        await counter.adjust(50)
        counter.world.now = then
        if is_another:
            assert (await counter.adjust(50)).applied_tokens == 50
        else:
            assert await refused(counter.adjust(50)) == "adjustment_limit"

    async def test_a_refusal_counts_nothing_and_says_what_is_left(self, counter: Counter) -> None:
        await counter.adjust(40)
        before = await counter.counted()
        with pytest.raises(Exception, match="of this member has 20 tokens left, and 21 were asked for"):
            await counter.adjust(21)
        assert await counter.counted() == before
        await counter.limits(staff_day_tokens=45)
        with pytest.raises(Exception, match="of this person has 5 tokens left, and 6 were asked for"):
            await counter.adjust(6, member=1)
        await counter.limits(staff_day_tokens=0)
        with pytest.raises(Exception, match="of this person has 0 tokens left"):
            await counter.adjust(1, member=1)
