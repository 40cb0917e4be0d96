"""Partners, their places and their people."""

from collections.abc import Sequence
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.partners import domain, repository
from mereau.partners.domain import PartnerDraft
from mereau.partners.models import Location, Partner, Staff

__all__ = [
    "PartnerDraft",
    "add_location",
    "add_staff",
    "create",
    "get",
    "get_by_external_id",
    "list_partners",
    "numbers",
    "set_limits",
]


async def create(session: WriteSession, draft: PartnerDraft, now: datetime) -> Partner:
    """Create a partner under the next free number (1, 2, 3 ...), which the contract will know it by.

    InvalidInputError names the wrong fields; ConflictError where the external id is taken.
    """
    if errors := list(domain.findings(draft)):
        raise InvalidInputError("The partner is not valid.", errors=errors)
    await repository.lock_numbering(session)
    if await repository.by_external_id(session, draft.external_id) is not None:
        raise ConflictError(f"There is already a partner {draft.external_id}.")
    partner = Partner(
        id=new_id("par", now),
        external_id=draft.external_id,
        number=await repository.next_number(session),
        name=draft.name,
        status="active",
        allowance_tokens=draft.allowance_tokens,
        period_cap_tokens=draft.period_cap_tokens,
        created_at=now,
    )
    await repository.add(session, partner)
    await outbox.publish(session, [Event("partner.created", partner.id, {"number": partner.number})], now)
    return partner


async def get(session: ReadSession | WriteSession, partner_id: str) -> Partner:
    """The partner; NotFoundError where there is none."""
    partner = await repository.by_id(session, partner_id)
    if partner is None:
        raise NotFoundError("There is no such partner.")
    return partner


async def get_by_external_id(session: ReadSession | WriteSession, external_id: str) -> Partner:
    """The partner known elsewhere under this number; NotFoundError where there is none."""
    partner = await repository.by_external_id(session, external_id)
    if partner is None:
        raise NotFoundError("There is no such partner.")
    return partner


async def list_partners(
    session: ReadSession | WriteSession, *, after_number: int = 0, limit: int = 100
) -> list[Partner]:
    """Partners by number, from the one after `after_number` on."""
    return await repository.after_number(session, after_number, limit)


async def numbers(session: ReadSession | WriteSession, partner_ids: Sequence[str]) -> dict[str, int]:
    """Partner id -> the number that the contract knows; NotFoundError where one is unknown."""
    found = await repository.numbers(session, partner_ids)
    if any(partner_id not in found for partner_id in partner_ids):
        raise NotFoundError("There is no such partner.")
    return found


async def set_limits(
    session: WriteSession, partner_id: str, *, allowance_tokens: int | None, period_cap_tokens: int | None
) -> Partner:
    """Note the wanted limits and lock the partner; `ledger.registry` carries them to the contract."""
    if errors := list(domain.limit_findings(allowance_tokens, period_cap_tokens)):
        raise InvalidInputError("The limits are not valid.", errors=errors)
    partner = await repository.by_id(session, partner_id, for_update=True)
    if partner is None:
        raise NotFoundError("There is no such partner.")
    partner.allowance_tokens = allowance_tokens
    partner.period_cap_tokens = period_cap_tokens
    await session.flush()
    return partner


async def add_location(
    session: WriteSession, partner_id: str, *, external_id: str, name: str, now: datetime
) -> Location:
    """Add a place of business. ConflictError where the partner already has one of that external id."""
    await get(session, partner_id)
    if await repository.location(session, partner_id, external_id) is not None:
        raise ConflictError(f"The partner already has a location {external_id}.")
    location = Location(
        id=new_id("loc", now), partner_id=partner_id, external_id=external_id, name=name, created_at=now
    )
    await repository.add(session, location)
    return location


async def add_staff(
    session: WriteSession,
    partner_id: str,
    *,
    external_id: str,
    display_name: str,
    location_id: str | None,
    now: datetime,
) -> Staff:
    """Add a person. NotFoundError for another partner's location; ConflictError for a taken external id."""
    await get(session, partner_id)
    if location_id is not None and not await repository.location_by_id(session, partner_id, location_id):
        raise NotFoundError("The partner has no such location.")
    if await repository.staff(session, partner_id, external_id) is not None:
        raise ConflictError(f"The partner already has a staff member {external_id}.")
    person = Staff(
        id=new_id("stf", now),
        partner_id=partner_id,
        location_id=location_id,
        external_id=external_id,
        display_name=display_name,
        status="active",
        created_at=now,
    )
    await repository.add(session, person)
    return person
