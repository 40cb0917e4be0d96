"""The facts of members, loaded for all of a call at once, and only those that an active rule asks for."""

from collections.abc import Iterable

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.compiled.domain import RuleSet
from mereau.earning.evaluation.facts.domain import MemberFacts
from mereau.sales import queries as sales
from mereau.segments.queries import memberships
from mereau.tiers.queries import TierStanding, tiers_of


async def load_members(
    session: ReadSession | WriteSession, rules: RuleSet, member_ids: Iterable[str]
) -> dict[str, MemberFacts]:
    """Member id -> facts. No statement where no rule asks for anything; one for each kind that some rule does."""
    ids = sorted(set(member_ids))
    if not ids:
        return {}
    held = await tiers_of(session, ids) if rules.asks_tiers else {}
    segments = await memberships(session, ids, sorted(rules.segment_ids)) if rules.segment_ids else {}
    buyers = await sales.buyers(session, ids) if rules.asks_firsts else frozenset[str]()
    return {id_: _facts(id_, held.get(id_), segments.get(id_, frozenset()), has_bought=id_ in buyers) for id_ in ids}


def _facts(id_: str, tier: TierStanding | None, segment_ids: frozenset[str], *, has_bought: bool) -> MemberFacts:
    if tier is None:
        return MemberFacts(id_, segment_ids=segment_ids, has_bought=has_bought)
    return MemberFacts(id_, tier.external_id, tier.rank, tier.multiplier_percent, segment_ids, has_bought)
