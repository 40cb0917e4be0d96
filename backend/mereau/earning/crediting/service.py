"""Judging occasions by the active rules, and crediting what they give through the ledger's door."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from mereau.core.db import ReadSession, WriteSession
from mereau.core.ids import new_id
from mereau.earning.compiled.domain import RuleSet
from mereau.earning.crediting import repository
from mereau.earning.crediting.domain import life_by_rule
from mereau.earning.crediting.repository import Claim
from mereau.earning.evaluation.domain import Fired, Outcome, evaluate
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.earning.evaluation.facts.service import load_members
from mereau.earning.limits import service as limits
from mereau.earning.limits.domain import Count, CounterKey, Dry
from mereau.earning.limits.service import Counters, Moment, keys_for
from mereau.earning.rules.service import active_rules
from mereau.ledger import service as ledger
from mereau.programs import service as programs
from mereau.programs.lives.domain import Lives
from mereau.programs.settings.service import lives_of


@dataclass(slots=True)
class Valuer:
    """Judges the occasions of one call one after the other, each after what those before it were given."""

    rules: RuleSet
    zone: ZoneInfo
    members: dict[str, MemberFacts]
    counters: Counters

    def member(self, member_id: str | None) -> MemberFacts | None:
        return None if member_id is None else self.members[member_id]

    def value(self, occasion: Occasion) -> Outcome:
        """What an occasion would be given now; counts nothing."""
        return evaluate(self.rules, occasion, self.counters.usage, self.zone)

    def count(self, outcome: Outcome, *, buyer_id: str | None = None) -> None:
        """Let the occasions to come know what was given, and who has bought by now."""
        usage = self.counters.usage
        for key, count in outcome.counts.items():
            usage[key] = usage.get(key, Count()) + count
        if buyer_id is not None and not self.members[buyer_id].has_bought:
            self.members[buyer_id] = replace(self.members[buyer_id], has_bought=True)

    async def keep(self, session: WriteSession, outcomes: Iterable[Outcome], now: datetime) -> None:
        """Write the counters of what stands in the end."""
        counts: dict[CounterKey, Count] = {}
        dry: list[Dry] = []
        for outcome in outcomes:
            dry += outcome.dry
            for key, count in outcome.counts.items():
                counts[key] = counts.get(key, Count()) + count
        await limits.add(session, self.counters, counts, dry, now)


async def open_valuer(
    session: WriteSession, rules: RuleSet, moments: Sequence[tuple[str | None, datetime]], zone: ZoneInfo
) -> Valuer:
    """A valuer for occasions of these members at these instants.

    Locks the counters of limited rules before it looks at anything that may have changed until then. Where no
    rule has limits or asks for facts, there is no statement.
    """
    known: list[Moment] = [(member_id, at) for member_id, at in moments if member_id is not None]
    counters = await limits.lock(session, keys_for(rules.counted, known, zone))
    members = await load_members(session, rules, (member_id for member_id, _ in known))
    return Valuer(rules, zone, members, counters)


async def read_valuer(
    session: ReadSession | WriteSession, rules: RuleSet, moments: Sequence[Moment], zone: ZoneInfo
) -> Valuer:
    """As `open_valuer`, for a dry run: locks and changes nothing."""
    counters = await limits.read(session, keys_for(rules.counted, moments, zone))
    members = await load_members(session, rules, (member_id for member_id, _ in moments))
    return Valuer(rules, zone, members, counters)


def credit_of(
    occasion: Occasion, fired: Fired, entry_id: str, lives: Lives, now: datetime, *, reason_code: str
) -> ledger.Credit:
    """The ledger's credit for what one rule gives; the rule's issuing partner pays where the occasion has none."""
    activates_at, expires_at = life_by_rule(fired.rule.spec, lives, occasion.occurred_at, now)
    return ledger.Credit(
        entry_id=entry_id,
        member_id=occasion.member.id if occasion.member else "",
        partner_id=occasion.partner_id or fired.rule.spec.issuer_partner_id or "",
        staff_id=occasion.staff_id,
        tokens=fired.tokens,
        source_id=occasion.source_id,
        source_reference=occasion.source_reference,
        rule=fired.rule.reference,
        reason_code=reason_code,
        occurred_at=occasion.occurred_at,
        activates_at=activates_at,
        expires_at=expires_at,
    )


def new_entry_ids(count: int, now: datetime) -> list[str]:
    """Entry ids that sort in the order in which the rules of one occasion fired."""
    return sorted(new_id("ent", now) for _ in range(count))


@dataclass(frozen=True, slots=True)
class Awarded:
    """What became of an occasion: `outcome` None where it was judged before, or no rule is there to judge it.

    `entry_ids` stand beside `outcome.fired`.
    """

    outcome: Outcome | None
    entry_ids: tuple[str, ...] = ()
    duplicate: bool = False

    @property
    def tokens(self) -> int:
        return self.outcome.tokens if self.outcome else 0


async def award(session: WriteSession, occasions: Sequence[Occasion], now: datetime) -> list[Awarded]:
    """Give what occasions that are no sales earn; what became of each, in their order.

    The occasions are of one trigger and have a member of whom only the id is needed: what rules ask of members
    is loaded here. A constant number of statements however many. Each counts once by (trigger, source id,
    member), for ever, whatever it earned; until there is an active rule for its trigger, it is not judged.
    Locks the counters of limited rules, then what `ledger.credit` locks. Raises what that refuses, and
    ValueError for occasions of several triggers or without member or source.
    """
    if not occasions:
        return []
    (trigger,) = {occasion.trigger for occasion in occasions}
    rules = await active_rules(session, trigger)
    if not rules:
        return [Awarded(None) for _ in occasions]
    lives = lives_of(await programs.current(session))
    fresh = await repository.claim(session, [(_claim(occasion), occasion.occurred_at) for occasion in occasions], now)
    first = {claim: place for place, claim in reversed(list(enumerate(map(_claim, occasions)))) if claim in fresh}
    mine = [occasions[place] for place in sorted(first.values())]
    moments = [(_member_id(occasion), occasion.occurred_at) for occasion in mine]
    valuer = await open_valuer(session, rules, moments, lives.tz)
    results = [Awarded(None, duplicate=True)] * len(occasions)
    credits_: list[ledger.Credit] = []
    for place in sorted(first.values()):
        results[place] = _judge(valuer, occasions[place], lives, now, credits_)
    await valuer.keep(session, [result.outcome for result in results if result.outcome], now)
    await ledger.credit(session, credits_, now)
    return results


def _judge(valuer: Valuer, occasion: Occasion, lives: Lives, now: datetime, credits_: list[ledger.Credit]) -> Awarded:
    known = replace(occasion, member=valuer.member(_member_id(occasion)))
    outcome = valuer.value(known)
    valuer.count(outcome)
    entry_ids = new_entry_ids(len(outcome.fired), now)
    credits_ += [
        credit_of(known, fired, entry_id, lives, now, reason_code="bonus")
        for fired, entry_id in zip(outcome.fired, entry_ids, strict=True)
    ]
    return Awarded(outcome, tuple(entry_ids))


def _member_id(occasion: Occasion) -> str:
    if occasion.member is None or not occasion.source_id:
        raise ValueError("an occasion that is to be awarded names its member and its source")
    return occasion.member.id


def _claim(occasion: Occasion) -> Claim:
    return occasion.trigger, occasion.source_id, _member_id(occasion)
