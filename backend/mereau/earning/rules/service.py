"""Making, changing and activating rules. A version that was active once never changes again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import NotFoundError
from mereau.core.ids import new_id
from mereau.earning.domain import RuleSpec, parse_spec
from mereau.earning.errors import NoActiveRuleError, RuleFrozenError
from mereau.earning.models import EarningRule
from mereau.earning.rules import repository
from mereau.journal import service as journal


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """The rule that values sales now; `reference` is what entries name for ever: id@version."""

    id: str
    version: int
    spec: RuleSpec

    @property
    def reference(self) -> str:
        return f"{self.id}@{self.version}"


def spec_digest(spec: RuleSpec) -> bytes:
    """SHA-256 of the rule's canonical form (version 1): equal for rules that decide alike."""
    canonical = json.dumps(spec.to_dict(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"mereau rule v1\n" + canonical.encode()).digest()


async def create_rule(
    session: WriteSession, external_id: str, spec: Mapping[str, object], now: datetime, *, actor: str
) -> EarningRule:
    """Add the next version of a rule as a draft. InvalidInputError names every wrong field of `spec`."""
    parsed = parse_spec(spec)
    await repository.lock(session)
    rule = EarningRule(
        id=new_id("rul", now),
        external_id=external_id,
        version=await repository.next_version(session, external_id),
        status="draft",
        spec=parsed.to_dict(),
        spec_digest=spec_digest(parsed),
        created_at=now,
    )
    await repository.add(session, rule)
    await _note(session, rule, "rule.created", now, actor)
    return rule


async def change_rule(
    session: WriteSession, rule_id: str, spec: Mapping[str, object], now: datetime, *, actor: str
) -> EarningRule:
    """Replace what a draft says. RuleFrozenError once the version was active: add another version instead."""
    parsed = parse_spec(spec)
    await repository.lock(session)
    rule = await _get(session, rule_id)
    if rule.status != "draft":
        raise RuleFrozenError(f"Version {rule.version} of {rule.external_id} was active; add a new version.")
    rule.spec, rule.spec_digest = parsed.to_dict(), spec_digest(parsed)
    await session.flush()
    await _note(session, rule, "rule.changed", now, actor)
    return rule


async def activate_rule(session: WriteSession, rule_id: str, now: datetime, *, actor: str) -> EarningRule:
    """Let this version value the sales from now on, in place of the one that does; idempotent.

    Sales that run meanwhile are valued by the rule that was active when they began.
    """
    await repository.lock(session)
    rule = await _get(session, rule_id)
    if rule.status != "active":
        await repository.deactivate_active(session)
        rule.status = "active"
        await session.flush()
        await _note(session, rule, "rule.activated", now, actor)
    return rule


async def active_rule(session: ReadSession | WriteSession) -> ActiveRule:
    """The rule that values sales now; NoActiveRuleError says how to get one."""
    rule = await repository.active(session)
    if rule is None:
        raise NoActiveRuleError("No earning rule is active: create one and activate it, then record sales.")
    return ActiveRule(rule.id, rule.version, parse_spec(rule.spec))


async def list_rules(session: ReadSession | WriteSession) -> list[EarningRule]:
    """Every version of every rule, by external id and version."""
    return await repository.all_versions(session)


async def _get(session: WriteSession, rule_id: str) -> EarningRule:
    rule = await repository.by_id(session, rule_id)
    if rule is None:
        raise NotFoundError("There is no such earning rule.")
    return rule


async def _note(session: WriteSession, rule: EarningRule, action: str, now: datetime, actor: str) -> None:
    detail = {
        "external_id": rule.external_id,
        "version": rule.version,
        "spec_digest": rule.spec_digest.hex(),
    }
    await journal.record(session, at=now, actor=actor, action=action, subject_id=rule.id, detail=detail)
