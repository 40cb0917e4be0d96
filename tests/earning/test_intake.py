"""From requests to drafts: whose sale it is, and whether everything that it names exists and is the partner's own."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, make_shop
from mereau.auth.domain import Principal, Role, Scope
from mereau.core.db import transaction
from mereau.core.errors import InvalidInputError
from mereau.earning.intake.service import check_staff, draft_sales
from mereau.earning.schemas import SaleCreate
from mereau.partners import service as partners
from mereau.sales.domain import SaleDraft
from mereau.sales.queries import find_sale

NOBODY = "0" * 26


@dataclass
class Till:
    """A shop, and for each of its two partners a location and a member of staff."""

    shop: Shop
    locations: list[str] = field(default_factory=list)
    staff: list[str] = field(default_factory=list)

    def caller(self, partner: int | None = 0, *, staff: bool = False) -> Principal:
        role = Role.OPERATOR if partner is None else Role.STAFF if staff else Role.PARTNER
        return Principal(
            "key_1",
            role,
            frozenset(Scope),
            partner_id=None if partner is None else self.shop.partners[partner].id,
            staff_id=self.staff[partner] if staff and partner is not None else None,
        )

    async def draft(self, caller: Principal, **changes: Any) -> SaleDraft | list[str]:
        """The draft, or the pointers of what is wrong."""
        body: dict[str, Any] = {
            "external_id": "r1",
            "member": {"id": self.shop.members[0]},
            "occurred_at": "2026-01-05T10:30:00+01:00",
            "currency": "EUR",
            "lines": [{"sku": "bread", "quantity": 2, "unit_price_minor": 320}],
        }
        sale = SaleCreate.model_validate(body | changes)
        async with transaction(self.shop.engine) as session:
            (outcome,) = await draft_sales(session, [(caller, sale)])
        return outcome if isinstance(outcome, SaleDraft) else [found.pointer for found in outcome.errors]


@pytest.fixture
async def till(engine: AsyncEngine) -> Till:
    made = Till(await make_shop(engine))
    async with transaction(engine) as session:
        for partner in made.shop.partners:
            where = await partners.add_location(session, partner.id, external_id="x", name="x", now=made.shop.now)
            who = await partners.add_staff(
                session, partner.id, external_id="s", display_name="s", location_id=where.id, now=made.shop.now
            )
            made.locations.append(where.id)
            made.staff.append(who.id)
    return made


async def test_a_partners_sale_is_its_own(till: Till) -> None:
    own = {"location_id": till.locations[0], "staff_id": till.staff[0]}
    draft = await till.draft(till.caller(), **own)
    assert isinstance(draft, SaleDraft)
    assert (draft.partner_id, draft.member_id) == (till.shop.partners[0].id, till.shop.members[0])
    assert (draft.location_id, draft.staff_id) == (till.locations[0], till.staff[0])
    assert (draft.lines[0].amount_minor, draft.lines[0].unit_price_micro) == (640, 3_200_000)
    assert draft.occurred_at == till.shop.now


async def test_what_belongs_to_another_partner_is_refused_field_by_field(till: Till) -> None:
    """S3: all three of them exist, and none is this caller's."""
    foreign = {
        "partner_id": till.shop.partners[1].id,
        "location_id": till.locations[1],
        "staff_id": till.staff[1],
    }
    assert await till.draft(till.caller(), **foreign) == ["/partner_id", "/location_id", "/staff_id"]
    assert isinstance(await till.draft(till.caller(1), **foreign), SaleDraft), "the twin: they are the other's"


async def test_an_operator_names_the_partner(till: Till) -> None:
    operator = till.caller(None)
    assert await till.draft(operator) == ["/partner_id"]
    assert await till.draft(operator, partner_id=f"par_{NOBODY}") == ["/partner_id"]
    draft = await till.draft(operator, partner_id=till.shop.partners[1].id, location_id=till.locations[1])
    assert isinstance(draft, SaleDraft)
    assert draft.partner_id == till.shop.partners[1].id
    crossed = await till.draft(operator, partner_id=till.shop.partners[1].id, location_id=till.locations[0])
    assert crossed == ["/location_id"]


async def test_staff_sign_with_themselves(till: Till) -> None:
    """S1: a staff key cannot put somebody else's name under a sale."""
    caller = till.caller(staff=True)
    for staff_id in (None, till.staff[0]):
        draft = await till.draft(caller, staff_id=staff_id)
        assert isinstance(draft, SaleDraft)
        assert draft.staff_id == till.staff[0]
    assert await till.draft(caller, staff_id=till.staff[1]) == ["/staff_id"]


@pytest.mark.parametrize("named", ["id", "external_id"])
async def test_members_are_named_by_either_number_and_must_be_active(till: Till, named: str) -> None:
    known = {"id": till.shop.members[0], "external_id": "M0"}[named]
    draft = await till.draft(till.caller(), member={named: known})
    assert isinstance(draft, SaleDraft)
    assert draft.member_id == till.shop.members[0]
    unknown = {"id": f"mem_{NOBODY}", "external_id": "nobody"}[named]
    assert await till.draft(till.caller(), member={named: unknown}) == ["/member"]
    await till.shop.write("update members set status = 'blocked' where id = :id", id=till.shop.members[0])
    assert await till.draft(till.caller(), member={named: known}) == ["/member"]


async def test_a_sale_to_nobody_known_is_a_draft_too(till: Till) -> None:
    draft = await till.draft(till.caller(), member=None)
    assert isinstance(draft, SaleDraft)
    assert draft.member_id is None


async def test_a_return_is_signed_by_the_partners_own_staff(till: Till) -> None:
    own = till.shop.partners[0].id
    async with transaction(till.shop.engine) as session:
        assert await check_staff(session, till.caller(), own, None) is None
        assert await check_staff(session, till.caller(), own, till.staff[0]) == till.staff[0]
        assert await check_staff(session, till.caller(staff=True), own, None) == till.staff[0]
        for caller in (till.caller(), till.caller(staff=True), till.caller(None)):
            with pytest.raises(InvalidInputError):
                await check_staff(session, caller, own, till.staff[1])


async def test_a_sale_is_found_within_reach_only(till: Till) -> None:
    sale = await till.shop.sell()
    async with transaction(till.shop.engine) as session:
        for partner_id in (None, till.shop.partners[0].id):
            found = await find_sale(session, sale.id, partner_id)
            assert found is not None
            assert found.id == sale.id
        assert await find_sale(session, sale.id, till.shop.partners[1].id) is None
        assert await find_sale(session, f"sal_{NOBODY}", None) is None
