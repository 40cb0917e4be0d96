"""From requests to drafts, in a constant number of statements however many sales."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mereau.auth.domain import Principal
from mereau.core.db import WriteSession
from mereau.core.errors import FieldError, InvalidInputError
from mereau.earning.schemas import MemberRef, SaleCreate
from mereau.members import queries as members
from mereau.members.cards import service as cards
from mereau.members.queries import ActiveMembers
from mereau.partners import queries as partners
from mereau.sales.domain import SaleDraft


@dataclass(frozen=True, slots=True)
class _Known:
    """What exists of all that the sales name; `partners` of those that operators name."""

    members: ActiveMembers
    card_holders: Mapping[str, str]
    places: set[tuple[str, str]]
    partners: set[str]


async def draft_sales(
    session: WriteSession, said: Sequence[tuple[Principal, SaleCreate]]
) -> list[SaleDraft | InvalidInputError]:
    """A draft for each sale that its caller hands in, or what is wrong with it; in the order of the sales.

    A sale is the key's partner's, or for operators that of the partner it names. Members must be active;
    locations and staff must be the partner's own. Staff keys sign with themselves.
    """
    known = await _look_up(session, said)
    return [_draft(sale, caller, known) for caller, sale in said]


async def check_staff(session: WriteSession, caller: Principal, partner_id: str, staff_id: str | None) -> str | None:
    """The member of staff who acts: the key's own, or the one named where it is the partner's.

    Raises InvalidInputError for anybody else.
    """
    if caller.staff_id is not None:
        if staff_id not in {None, caller.staff_id}:
            raise _refusal([FieldError("/staff_id", "not_yours", "Must be absent, or the key's own.")])
        return caller.staff_id
    if staff_id is not None and await partners.find_staff(session, staff_id, partner_id) is None:
        raise _refusal([FieldError("/staff_id", "unknown", "The partner has no such active member of staff.")])
    return staff_id


async def claimant(session: WriteSession, caller: Principal, member: MemberRef | None) -> str:
    """The active member for whom something is claimed: the key's own, or the one that staff and operators name.

    Raises InvalidInputError for anybody else.
    """
    if caller.member_id is not None:
        if member is not None and member.id != caller.member_id:
            raise _refusal([FieldError("/member", "not_yours", "Must be absent, or the key's own member.")])
        return caller.member_id
    if member is None:
        raise _refusal([FieldError("/member", "missing", "Name the member who claims.")])
    ids = [] if member.id is None else [member.id]
    external_ids = [] if member.external_id is None else [member.external_id]
    member_id = _named(member, await members.active_members(session, ids, external_ids))
    if member_id is None:
        raise _refusal([FieldError("/member", "unknown", "There is no such active member.")])
    return member_id


async def _look_up(session: WriteSession, said: Sequence[tuple[Principal, SaleCreate]]) -> _Known:
    named = [sale.member for _, sale in said if sale.member is not None]
    found = ActiveMembers(frozenset(), {})
    if named:
        found = await members.active_members(
            session,
            sorted({member.id for member in named if member.id is not None}),
            sorted({member.external_id for member in named if member.external_id is not None}),
        )
    tokens = {sale.payment_token for _, sale in said if sale.payment_token is not None}
    holders = await cards.holders(session, sorted(tokens)) if tokens else {}
    locations = {sale.location_id for _, sale in said if sale.location_id is not None}
    staff = {sale.staff_id for caller, sale in said if sale.staff_id is not None and sale.staff_id != caller.staff_id}
    places: set[tuple[str, str]] = set()
    if locations or staff:
        places = await partners.known_places(session, sorted(locations), sorted(staff))
    by_operators = {sale.partner_id for caller, sale in said if caller.partner_id is None and sale.partner_id}
    known = await partners.known_partners(session, sorted(by_operators)) if by_operators else set()
    return _Known(found, holders, places, known)


def _draft(sale: SaleCreate, caller: Principal, known: _Known) -> SaleDraft | InvalidInputError:
    partner_id = sale.partner_id if caller.partner_id is None else caller.partner_id
    member_id = _member_of(sale, known)
    staff_id = caller.staff_id or sale.staff_id
    errors = list(_findings(sale, caller, known, member_id))
    if errors or partner_id is None:
        return _refusal(errors)
    return SaleDraft(
        partner_id=partner_id,
        external_id=sale.external_id,
        member_id=member_id,
        occurred_at=sale.occurred_at,
        currency=sale.currency,
        lines=[line.draft(sale.currency) for line in sale.lines],
        shipping_minor=sale.shipping_minor,
        location_id=sale.location_id,
        staff_id=staff_id,
        channel=sale.channel,
        payment_token=sale.payment_token,
    )


def _findings(sale: SaleCreate, caller: Principal, known: _Known, member_id: str | None) -> Iterator[FieldError]:
    partner_id = sale.partner_id if caller.partner_id is None else caller.partner_id
    if caller.partner_id is not None:
        if sale.partner_id not in {None, caller.partner_id}:
            yield FieldError("/partner_id", "not_yours", "Must be absent, or the key's own partner.")
    elif partner_id is None:
        yield FieldError("/partner_id", "missing", "An operator names the partner whose sale it is.")
    elif partner_id not in known.partners:
        yield FieldError("/partner_id", "unknown", "There is no such partner.")
    if sale.member is not None and member_id is None:
        yield FieldError("/member", "unknown", "There is no such active member.")
    if sale.location_id is not None and (partner_id, sale.location_id) not in known.places:
        yield FieldError("/location_id", "unknown", "The partner has no such location.")
    if caller.staff_id is not None:
        if sale.staff_id not in {None, caller.staff_id}:
            yield FieldError("/staff_id", "not_yours", "Must be absent, or the key's own.")
    elif sale.staff_id is not None and (partner_id, sale.staff_id) not in known.places:
        yield FieldError("/staff_id", "unknown", "The partner has no such active member of staff.")


def _member_of(sale: SaleCreate, known: _Known) -> str | None:
    if sale.payment_token is not None:
        return known.card_holders.get(sale.payment_token)
    return None if sale.member is None else _named(sale.member, known.members)


def _named(ref: MemberRef, found: ActiveMembers) -> str | None:
    if ref.external_id is not None:
        return found.by_external_id.get(ref.external_id)
    return ref.id if ref.id in found.ids else None


def _refusal(errors: Sequence[FieldError]) -> InvalidInputError:
    return InvalidInputError("The document names something that does not fit; see errors.", errors=errors)
