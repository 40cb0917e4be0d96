"""What a rule names, looked up when it begins to pay: it must exist by then, not when it is drafted."""

from collections.abc import Iterable, Mapping
from typing import Final

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import FieldError, InvalidInputError
from mereau.earning.domain import RuleSpec
from mereau.earning.rules.binding import repository
from mereau.partners import queries as partners

_DETAILS: Final[Mapping[str, str]] = {
    "tiers": "There is no tier {} in force.",
    "segments": "There is no segment {}.",
    "partners": "There is no active partner {}.",
    "locations": "There is no location {}.",
}


async def bind(session: ReadSession | WriteSession, spec: RuleSpec) -> list[str]:
    """The ids of the segments that a rule names, sorted.

    InvalidInputError names by pointer every tier, segment, partner and location that does not exist.
    """
    audience = spec.audience
    partner_ids = audience.partners | ({spec.issuer_partner_id} if spec.issuer_partner_id else set())
    known_partners = await partners.known_partners(session, sorted(partner_ids)) if partner_ids else set()
    tiers = await repository.known_tiers(session, audience.tiers) if audience.tiers else set()
    segments = await repository.segment_ids(session, audience.segments) if audience.segments else {}
    places = await partners.known_places(session, sorted(audience.locations), []) if audience.locations else set()
    errors = [
        *_unknown("tiers", audience.tiers, tiers),
        *_unknown("segments", audience.segments, segments),
        *_unknown("partners", audience.partners, known_partners),
        *_unknown("locations", audience.locations, {place for _, place in places}),
    ]
    if spec.issuer_partner_id is not None and spec.issuer_partner_id not in known_partners:
        detail = _DETAILS["partners"].format(spec.issuer_partner_id)
        errors.append(FieldError("/issuer_partner_id", "unknown", detail))
    if errors:
        raise InvalidInputError("The rule names what does not exist.", errors=errors)
    return sorted(segments.values())


def _unknown(name: str, wanted: Iterable[str], known: Iterable[str]) -> list[FieldError]:
    missing = sorted(set(wanted) - set(known))
    return [FieldError(f"/audience/{name}", "unknown", _DETAILS[name].format(one)) for one in missing]
