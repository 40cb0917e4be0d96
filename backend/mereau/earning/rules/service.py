"""Making, changing, activating and retiring rules. A version that was active once never changes again."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, TypeVar

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.earning.compiled.domain import CompiledRule, RuleSet, compile_rule
from mereau.earning.domain import RuleSpec, parse_spec
from mereau.earning.errors import NoActiveRuleError, PriorityTakenError, RuleFrozenError
from mereau.earning.expressions.domain import ExpressionError, compile_expression
from mereau.earning.models import EarningRule
from mereau.earning.rules import repository
from mereau.earning.rules.binding.service import bind
from mereau.earning.rules.repository import RuleKey
from mereau.journal import service as journal
from mereau.programs.settings.domain import unkept

Key = TypeVar("Key")
Value = TypeVar("Value")

_SETS_KEPT: Final = 64
_RULES_KEPT: Final = 4_096
# What is kept here never grows stale: a set is found by all that decides it, and a rule in it is frozen.
_sets: Final[OrderedDict[tuple[RuleKey, ...], RuleSet]] = OrderedDict()
_frozen: Final[OrderedDict[str, CompiledRule]] = OrderedDict()


def spec_digest(spec: RuleSpec) -> bytes:
    """SHA-256 of the rule's canonical form (version 1): equal for rules that decide alike."""
    canonical = json.dumps(spec.to_dict(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"mereau rule v1\n" + canonical.encode()).digest()


def read_spec(raw: Mapping[str, object]) -> RuleSpec:
    """A rule whose expressions compile; InvalidInputError names every wrong field by pointer."""
    spec = parse_spec(raw)
    errors = []
    for name, expression in (("condition", spec.condition), ("amount", spec.amount)):
        try:
            if expression is not None:
                compile_expression(expression)
        except ExpressionError as error:
            errors.append(FieldError(f"/{name}", "expression", str(error)))
    if errors:
        raise InvalidInputError("The earning rule is not valid.", errors=errors)
    return spec


def refuse_unkept(spec: RuleSpec, guaranteed_life_s: int | None) -> None:
    """InvalidInputError for an expiry of its own that is shorter than the contract lets tokens expire."""
    if errors := list(unkept(spec.expiry, guaranteed_life_s or 0)):
        raise InvalidInputError("The contract would not carry out this expiry.", errors=errors)


async def create_rule(
    session: WriteSession,
    external_id: str,
    spec: Mapping[str, object],
    now: datetime,
    *,
    actor: str,
    guaranteed_life_s: int | None = None,
) -> EarningRule:
    """Add the next version of a rule as a draft. InvalidInputError names every wrong field of `spec`.

    `guaranteed_life_s` is how long the contract may protect a credit; None where there is no contract yet.
    """
    parsed = read_spec(spec)
    refuse_unkept(parsed, guaranteed_life_s)
    await repository.lock(session)
    rule = EarningRule(
        id=new_id("rul", now),
        external_id=external_id,
        version=await repository.next_version(session, external_id),
        status="draft",
        trigger=parsed.trigger,
        spec=parsed.to_dict(),
        spec_digest=spec_digest(parsed),
        segment_ids=[],
        created_at=now,
    )
    await repository.add(session, rule)
    await _note(session, rule, "rule.created", now, actor)
    return rule


async def change_rule(
    session: WriteSession, rule_id: str, spec: Mapping[str, object], now: datetime, *, actor: str
) -> EarningRule:
    """Replace what a draft says. RuleFrozenError once the version was active: add another version instead."""
    parsed = read_spec(spec)
    await repository.lock(session)
    rule = await get_rule(session, rule_id)
    if rule.status != "draft":
        raise RuleFrozenError(f"Version {rule.version} of {rule.external_id} was active; add a new version.")
    rule.spec, rule.spec_digest, rule.trigger = parsed.to_dict(), spec_digest(parsed), parsed.trigger
    await session.flush()
    await _note(session, rule, "rule.changed", now, actor)
    return rule


async def activate_rule(
    session: WriteSession, rule_id: str, now: datetime, *, actor: str, guaranteed_life_s: int | None = None
) -> EarningRule:
    """Let this version pay from now on, in place of the active version of the same rule; idempotent.

    Occasions that run meanwhile are judged by the rules that were active when they began. InvalidInputError
    names what the rule refers to and does not exist, or an expiry that the contract does not carry out (a draft may be
    older than the contract); PriorityTakenError where another exclusive rule of its
    trigger and stacking group has the same priority.
    """
    await repository.lock(session)
    rule = await get_rule(session, rule_id)
    if rule.status == "active":
        return rule
    spec = parse_spec(rule.spec)
    refuse_unkept(spec, guaranteed_life_s)
    rule.segment_ids = await bind(session, spec)
    await _refuse_tie(session, rule, spec)
    if (before := await repository.active_version(session, rule.external_id)) is not None:
        before.status = "inactive"
        await session.flush()
    rule.status = "active"
    await session.flush()
    await _note(session, rule, "rule.activated", now, actor)
    return rule


async def deactivate_rule(session: WriteSession, rule_id: str, now: datetime, *, actor: str) -> EarningRule:
    """Let this version pay no longer; what it gave stays. Idempotent; ConflictError for a draft."""
    await repository.lock(session)
    rule = await get_rule(session, rule_id)
    if rule.status == "draft":
        raise ConflictError("A draft pays nothing; there is nothing to end.")
    if rule.status == "active":
        rule.status = "inactive"
        await session.flush()
        await _note(session, rule, "rule.deactivated", now, actor)
    return rule


async def active_rules(session: ReadSession | WriteSession, trigger: str) -> RuleSet:
    """The rules that judge occasions of a trigger now, ready to run; empty where there is none. One statement."""
    keys = await repository.active_keys(session, trigger)
    found = _sets.get(keys)
    if found is None:
        rows = await repository.active(session, trigger)
        found = RuleSet(compiled(row) for row in rows)
        # Where a version came or went between the two reads, the set is right and is not kept under their key.
        if {row.id for row in rows} == {key[0] for key in keys}:
            _keep(_sets, keys, found, _SETS_KEPT)
        for rule in found.rules:
            _keep(_frozen, rule.id, rule, _RULES_KEPT)
    return found


async def sale_rules(session: ReadSession | WriteSession) -> RuleSet:
    """The rules that value sales now; NoActiveRuleError says how to get one."""
    rules = await active_rules(session, "sale")
    if not rules:
        raise NoActiveRuleError("No earning rule is active: create one and activate it, then record sales.")
    return rules


async def rules_by_reference(session: ReadSession | WriteSession, references: Iterable[str]) -> dict[str, CompiledRule]:
    """The versions that entries name (id@version), whatever has become of them since; unknown ones are absent."""
    wanted = {reference.partition("@")[0] for reference in references}
    missing = sorted(wanted - _frozen.keys())
    rows = await repository.by_ids(session, missing) if missing else []
    found = [_frozen[id_] for id_ in wanted - set(missing)] + [compiled(row) for row in rows]
    for rule in found:
        _keep(_frozen, rule.id, rule, _RULES_KEPT)
    return {rule.reference: rule for rule in found}


def compiled(rule: EarningRule) -> CompiledRule:
    """A stored version, ready to run."""
    return compile_rule(
        parse_spec(rule.spec),
        rule_id=rule.id,
        external_id=rule.external_id,
        version=rule.version,
        segment_ids=rule.segment_ids,
    )


async def list_rules(session: ReadSession | WriteSession) -> list[EarningRule]:
    """Every version of every rule, by external id and version."""
    return await repository.all_versions(session)


async def get_rule(session: ReadSession | WriteSession, rule_id: str) -> EarningRule:
    """One version; NotFoundError where there is none."""
    rule = await repository.by_id(session, rule_id)
    if rule is None:
        raise NotFoundError("There is no such earning rule.")
    return rule


async def _refuse_tie(session: WriteSession, rule: EarningRule, spec: RuleSpec) -> None:
    """Which of two exclusive rules stands alone is never a matter of edit order."""
    if spec.stacking != "exclusive":
        return
    for other in await repository.active(session, rule.trigger):
        theirs = parse_spec(other.spec)
        rivals = other.external_id != rule.external_id and theirs.stacking == "exclusive"
        if rivals and (theirs.stacking_group, theirs.priority) == (spec.stacking_group, spec.priority):
            finding = FieldError("/priority", "taken", f"{other.external_id} is exclusive with the same priority")
            raise PriorityTakenError("Exclusive rules of one group need different priorities.", errors=[finding])


def _keep(kept: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)


async def _note(session: WriteSession, rule: EarningRule, action: str, now: datetime, actor: str) -> None:
    detail = {
        "external_id": rule.external_id,
        "version": rule.version,
        "spec_digest": rule.spec_digest.hex(),
    }
    await journal.record(session, at=now, actor=actor, action=action, subject_id=rule.id, detail=detail)
