"""What of partners a caller sees, page by page, and which places and people are a partner's own."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.auth.domain import EVERYTHING, Reach
from mereau.core.db import snapshot, transaction
from mereau.partners import queries
from mereau.partners import service as partners
from mereau.partners.models import Staff
from mereau.partners.service import PartnerDraft

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Street:
    """Three partners, each with two locations and two people, by partner."""

    ids: list[str] = field(default_factory=list)
    locations: list[list[str]] = field(default_factory=list)
    staff: list[list[str]] = field(default_factory=list)


@pytest.fixture
async def street(engine: AsyncEngine) -> Street:
    made = Street()
    async with transaction(engine) as session:
        for name in "PQR":
            partner = await partners.create(session, PartnerDraft(name, name), NOW)
            places = [
                await partners.add_location(session, partner.id, external_id=mark, name=mark, now=NOW) for mark in "xy"
            ]
            people = [
                await partners.add_staff(
                    session, partner.id, external_id=mark, display_name=mark, location_id=places[0].id, now=NOW
                )
                for mark in "st"
            ]
            made.ids.append(partner.id)
            made.locations.append(sorted(place.id for place in places))
            made.staff.append(sorted(person.id for person in people))
    return made


async def test_a_partner_sees_itself_and_operators_see_all(engine: AsyncEngine, street: Street) -> None:
    own = Reach(partner_id=street.ids[1])
    async with snapshot(engine) as session:
        seen = [[await queries.find_partner(session, id_, reach) for id_ in street.ids] for reach in (EVERYTHING, own)]
        assert [partner.id for partner in await queries.list_partners(session, own, None, 10)] == [street.ids[1]]
        assert await queries.list_partners(session, Reach(partner_id="par_none"), None, 10) == []
        assert await queries.find_partner(session, "par_none", EVERYTHING) is None
    assert [[partner is not None for partner in row] for row in seen] == [[True] * 3, [False, True, False]]


@pytest.mark.parametrize(
    ("after", "limit", "numbers"),
    [
        (None, 10, [1, 2, 3]),
        (None, 2, [1, 2]),
        (0, 1, [1]),
        (1, 10, [2, 3]),
        (3, 10, []),
        (2**62, 10, []),
        (None, 0, []),
    ],
)
async def test_partners_come_by_number_page_by_page(
    engine: AsyncEngine, street: Street, after: int | None, limit: int, numbers: list[int]
) -> None:
    async with snapshot(engine) as session:
        page = await queries.list_partners(session, EVERYTHING, after, limit)
    assert [partner.number for partner in page] == numbers


async def test_places_and_people_are_listed_for_their_partner_only(engine: AsyncEngine, street: Street) -> None:
    first = street.ids[0]
    async with snapshot(engine) as session:
        places = [place.id for place in await queries.list_locations(session, first, None, 10)]
        people = [person.id for person in await queries.list_staff(session, first, None, 10)]
        assert (places, people) == (street.locations[0], street.staff[0])
        rest = await queries.list_locations(session, first, places[0], 10)
        assert [place.id for place in rest] == places[1:]
        assert [person.id for person in await queries.list_staff(session, first, people[0], 1)] == people[1:]
        assert await queries.list_staff(session, "par_none", None, 10) == []
        assert await queries.list_locations(session, "par_none", None, 10) == []


async def test_another_partners_place_or_person_is_none(engine: AsyncEngine, street: Street) -> None:
    """S3: the pair decides, never the id alone."""
    place, person = street.locations[0][0], street.staff[0][0]
    async with snapshot(engine) as session:
        for index, partner_id in enumerate(street.ids):
            assert (await queries.find_staff(session, person, partner_id) is not None) == (index == 0)
        known = await queries.known_places(session, [place, street.locations[1][0], "loc_none"], [person, "stf_none"])
        assert await queries.known_places(session, [person], [place]) == set(), "a person is no place"
    pairs = {(street.ids[0], place), (street.ids[1], street.locations[1][0]), (street.ids[0], person)}
    assert known == pairs


async def test_who_left_is_nobodys_staff(engine: AsyncEngine, street: Street) -> None:
    person = street.staff[0][0]
    async with transaction(engine) as session:
        found = await session.get(Staff, person)
        assert found is not None
        found.status = "inactive"
    async with snapshot(engine) as session:
        assert await queries.find_staff(session, person, street.ids[0]) is None
        assert await queries.known_places(session, [], [person, street.staff[0][1]]) == {
            (street.ids[0], street.staff[0][1])
        }
        assert len(await queries.list_staff(session, street.ids[0], None, 10)) == 2, "the list still shows them"


async def test_known_partners_are_those_that_are_active(engine: AsyncEngine, street: Street) -> None:
    async with transaction(engine) as session:
        (await partners.get(session, street.ids[0])).status = "inactive"
    async with snapshot(engine) as session:
        assert await queries.known_partners(session, [*street.ids, "par_none"]) == set(street.ids[1:])
        assert await queries.known_partners(session, []) == set()


@pytest.mark.parametrize(
    "name", ["é☕" * 100, "'; drop table partners; --", "A\u0301", " P", "p"], ids=lambda name: ascii(name)[:12]
)
async def test_any_text_may_number_a_partner(engine: AsyncEngine, street: Street, name: str) -> None:
    async with transaction(engine) as session:
        made = await partners.create(session, PartnerDraft(name, name, 0, 2**53 - 1), NOW)
    async with snapshot(engine) as session:
        found = await partners.get_by_external_id(session, name)
    assert (found.id, found.number, found.name) == (made.id, 4, name)
    assert (found.allowance_tokens, found.period_cap_tokens) == (0, 2**53 - 1)
