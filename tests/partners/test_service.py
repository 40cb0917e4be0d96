"""Partners: numbered without gaps, limits in range, locations and staff of their own."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, InvalidInputError, NotFoundError
from mereau.partners import service as partners
from mereau.partners.models import Location, Partner, Staff
from mereau.partners.service import PartnerDraft

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def create(engine: AsyncEngine, external_id: str, **limits: int | None) -> Partner:
    async with transaction(engine) as session:
        return await partners.create(session, PartnerDraft(external_id, f"Shop {external_id}", **limits), NOW)


async def locate(engine: AsyncEngine, partner_id: str, external_id: str = "main") -> Location:
    async with transaction(engine) as session:
        return await partners.add_location(session, partner_id, external_id=external_id, name="Rue Un", now=NOW)


async def hire(engine: AsyncEngine, partner_id: str, external_id: str = "s1", location_id: str | None = None) -> Staff:
    async with transaction(engine) as session:
        return await partners.add_staff(
            session, partner_id, external_id=external_id, display_name="Zoé", location_id=location_id, now=NOW
        )


async def test_partners_are_numbered_from_one(engine: AsyncEngine) -> None:
    made = [await create(engine, name) for name in ("a", "b", "c")]
    assert [partner.number for partner in made] == [1, 2, 3]
    assert made[0].id.startswith("par_")
    assert (made[0].status, made[0].allowance_tokens, made[0].period_cap_tokens) == ("active", None, None)


async def test_numbers_have_no_gaps_however_many_come_at_once_or_fail(engine: AsyncEngine) -> None:
    names = ["a", "b", "a", "c", "b", "d"]
    outcomes = await asyncio.gather(*(create(engine, name) for name in names), return_exceptions=True)
    made = [outcome for outcome in outcomes if isinstance(outcome, Partner)]
    assert sorted(partner.number for partner in made) == [1, 2, 3, 4]
    assert [type(outcome) for outcome in outcomes].count(ConflictError) == 2


async def test_a_new_partner_is_told(engine: AsyncEngine) -> None:
    made = await create(engine, "a")
    async with snapshot(engine) as session:
        (row,) = (await session.execute(text("select type, subject_id, payload from outbox_events"))).all()
    assert tuple(row) == ("partner.created", made.id, {"number": 1})


@pytest.mark.parametrize(
    ("draft", "pointers"),
    [
        (PartnerDraft(" ", "x"), ["/external_id"]),
        (PartnerDraft("x", ""), ["/name"]),
        (PartnerDraft("x", "x", -1, 2**53), ["/allowance_tokens", "/period_cap_tokens"]),
    ],
)
async def test_wrong_drafts_are_named(engine: AsyncEngine, draft: PartnerDraft, pointers: list[str]) -> None:
    async with transaction(engine) as session:
        with pytest.raises(InvalidInputError) as refusal:
            await partners.create(session, draft, NOW)
    assert [found.pointer for found in refusal.value.errors] == pointers


async def test_limits_are_kept_and_changed(engine: AsyncEngine) -> None:
    made = await create(engine, "a", allowance_tokens=2**53 - 1, period_cap_tokens=0)
    async with transaction(engine) as session:
        changed = await partners.set_limits(session, made.id, allowance_tokens=5, period_cap_tokens=None)
    async with snapshot(engine) as session:
        found = await partners.get(session, made.id)
    assert (changed.allowance_tokens, found.allowance_tokens, found.period_cap_tokens) == (5, 5, None)


async def test_limits_out_of_range_or_of_nobody_are_refused(engine: AsyncEngine) -> None:
    made = await create(engine, "a")
    async with transaction(engine) as session:
        with pytest.raises(InvalidInputError):
            await partners.set_limits(session, made.id, allowance_tokens=-1, period_cap_tokens=None)
        with pytest.raises(NotFoundError):
            await partners.set_limits(session, "par_none", allowance_tokens=1, period_cap_tokens=None)


async def test_partners_are_found_and_listed(engine: AsyncEngine) -> None:
    made = [await create(engine, name) for name in ("a", "b", "c")]
    async with snapshot(engine) as session:
        assert (await partners.get(session, made[1].id)).external_id == "b"
        assert (await partners.get_by_external_id(session, "c")).id == made[2].id
        assert [p.number for p in await partners.list_partners(session, limit=2)] == [1, 2]
        assert [p.number for p in await partners.list_partners(session, after_number=2)] == [3]
        assert await partners.numbers(session, [made[2].id, made[0].id]) == {made[2].id: 3, made[0].id: 1}
        for missing in (
            partners.get(session, "par_none"),
            partners.get_by_external_id(session, "none"),
            partners.numbers(session, [made[0].id, "par_none"]),
        ):
            with pytest.raises(NotFoundError):
                await missing


async def test_locations_are_unique_within_a_partner(engine: AsyncEngine) -> None:
    one, other = await create(engine, "a"), await create(engine, "b")
    made = await locate(engine, one.id)
    assert (made.partner_id, made.name) == (one.id, "Rue Un")
    assert (await locate(engine, other.id)).id != made.id
    with pytest.raises(ConflictError):
        await locate(engine, one.id)
    with pytest.raises(NotFoundError):
        await locate(engine, "par_none")


async def test_staff_work_at_their_partners_places_only(engine: AsyncEngine) -> None:
    """S3: another partner's location is as good as none."""
    one, other = await create(engine, "a"), await create(engine, "b")
    place, strange = await locate(engine, one.id), await locate(engine, other.id)
    person = await hire(engine, one.id, location_id=place.id)
    assert (person.partner_id, person.location_id, person.status) == (one.id, place.id, "active")
    assert (await hire(engine, one.id, "s2")).location_id is None
    with pytest.raises(NotFoundError):
        await hire(engine, one.id, "s3", location_id=strange.id)
    with pytest.raises(ConflictError):
        await hire(engine, one.id)
    with pytest.raises(NotFoundError):
        await hire(engine, "par_none")
