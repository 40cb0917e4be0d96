"""What an occasion would earn now, or if one more rule were active. Reads, and never writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mereau.core.db import ReadSession
from mereau.core.errors import FieldError, InvalidInputError
from mereau.earning.compiled.domain import CompiledRule, RuleSet, compile_rule
from mereau.earning.crediting.service import credit_of, read_valuer
from mereau.earning.errors import NoActiveRuleError
from mereau.earning.evaluation.domain import Outcome
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.earning.rules.binding.service import bind
from mereau.earning.rules.service import active_rules, compiled, get_rule, read_spec
from mereau.ledger.service import Credit
from mereau.members import queries as members
from mereau.programs import service as programs
from mereau.programs.settings.service import lives_of

NEWCOMER: Final = "newcomer"
"""Who stands in where no member is named: nobody's tier, no segment, nothing used."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule that would be active beside the others, in place of the active version of the same name."""

    external_id: str
    spec: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Simulated:
    """What became of the occasion; `credits` stand beside `outcome.fired` and would be posted."""

    outcome: Outcome
    credits: Sequence[Credit]


async def find_member(session: ReadSession, id_: str | None, external_id: str | None) -> str:
    """The id of an active member by either name; InvalidInputError where there is none."""
    found = await members.active_members(session, [id_] if id_ else [], [external_id] if external_id else [])
    if not found.ids:
        error = FieldError("/member", "unknown", "There is no such active member.")
        raise InvalidInputError("The dry run names what does not exist.", errors=[error])
    (member_id,) = found.ids
    return member_id


async def simulate(
    session: ReadSession,
    occasion: Occasion,
    now: datetime,
    *,
    member_id: str | None = None,
    rule_id: str | None = None,
    trial: Trial | None = None,
) -> Simulated:
    """What the active rules would give for an occasion, with one stored or tried rule among them.

    Whoever runs at the same moment may use up a limit before the occasion comes. InvalidInputError for a rule
    that could not be activated, NotFoundError for a stored one that is not there, NoActiveRuleError where
    nothing is there to judge.
    """
    lives = lives_of(await programs.current(session))
    rules = await _rules(session, occasion.trigger, rule_id, trial)
    who = member_id or NEWCOMER
    valuer = await read_valuer(session, rules, [(who, occasion.occurred_at)], lives.tz)
    known = replace(occasion, member=valuer.member(who) or MemberFacts(who))
    outcome = valuer.value(known)
    reason_code = "sale" if occasion.trigger == "sale" else "bonus"
    credits_ = [credit_of(known, fired, "", lives, now, reason_code=reason_code) for fired in outcome.fired]
    return Simulated(outcome, credits_)


async def _rules(session: ReadSession, trigger: str, rule_id: str | None, trial: Trial | None) -> RuleSet:
    rules = {rule.external_id: rule for rule in (await active_rules(session, trigger)).rules}
    for more in await _more(session, rule_id, trial):
        if more.spec.trigger != trigger:
            error = FieldError("/rule/trigger", "other_trigger", f"the occasion is a {trigger}")
            raise InvalidInputError("The rule and the occasion do not meet.", errors=[error])
        rules[more.external_id] = more
    if not rules:
        raise NoActiveRuleError(f"No earning rule of the trigger {trigger} is active, and none was given to try.")
    return RuleSet(rules.values())


async def _more(session: ReadSession, rule_id: str | None, trial: Trial | None) -> list[CompiledRule]:
    found = []
    if rule_id is not None:
        row = await get_rule(session, rule_id)
        rule = compiled(row)
        found.append(replace(rule, segment_ids=frozenset(await bind(session, rule.spec))))
    if trial is not None:
        found.append(await _tried(session, trial))
    return found


async def _tried(session: ReadSession, trial: Trial) -> CompiledRule:
    """The rule that is stored nowhere; what is wrong with it stands under `rule` of the request."""
    try:
        spec = read_spec(trial.spec)
        segment_ids = await bind(session, spec)
    except InvalidInputError as refusal:
        errors = [replace(found, pointer=f"/rule{found.pointer}") for found in refusal.errors]
        raise InvalidInputError(refusal.detail, errors=errors) from None
    return compile_rule(spec, rule_id="trial", external_id=trial.external_id, version=0, segment_ids=segment_ids)
