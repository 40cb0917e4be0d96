"""Sets of tiers from draft to force, what a change would move, and tiers given by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.programs import service as programs
from mereau.tiers import domain, queries, repository
from mereau.tiers.domain import NO_TIER, Held, Ladder, Progress, ladder_of, running_grace
from mereau.tiers.errors import OtherDraftError
from mereau.tiers.evaluation.service import evaluate, find_force, force, held_of, tell
from mereau.tiers.events import Change
from mereau.tiers.models import Tier, TierSet, TierStanding
from mereau.tiers.repository import StandingSaved

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class Move:
    """So many members who would move from one tier to another (by external id) at once."""

    from_tier: str | None
    to_tier: str | None
    direction: str
    members: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What putting the draft in force would do. `on_notice` stay, but below what their tier demands: grace runs."""

    version: int
    moves: Sequence[Move]
    on_notice: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class MemberTier:
    """A member's tier with what is missing; tiers None where none is held, or none is in force."""

    standing: TierStanding | None
    tier: Tier | None
    ladder: Ladder | None
    progress: Progress | None


async def get_by_external_id(session: Session, external_id: str) -> Tier:
    """The tier known under this number, in force or not; NotFoundError where there is none."""
    tier = await repository.by_external_id(session, external_id)
    if tier is None:
        raise NotFoundError("There is no such tier.")
    return tier


async def find_set(session: Session, status: str) -> TierSet | None:
    """The set in force (`active`) or the `draft`."""
    return await repository.set_of(session, status)


async def tiers_in_force(session: Session) -> list[Tier]:
    """The lowest first; empty before the first activation."""
    return await repository.tiers_in_force(session)


async def put_draft(session: WriteSession, ladder: Ladder, now: datetime, *, actor: str) -> TierSet:
    """Put a whole set in the place of the draft, under a new version. InvalidInputError names what is wrong."""
    if errors := list(domain.findings(ladder)):
        raise InvalidInputError("The tiers are not valid.", errors=errors)
    await repository.lock(session)
    await repository.retire_draft(session)
    version = await repository.next_version(session)
    row = TierSet(id=new_id("tst", now), version=version, status="draft", document=ladder.to_dict(), created_at=now)
    await repository.add_set(session, row)
    detail = {"version": version, "document": row.document}
    await journal.record(session, at=now, actor=actor, action="tiers.drafted", subject_id=row.id, detail=detail)
    return row


async def drop_draft(session: WriteSession, now: datetime, *, actor: str) -> None:
    """Forget the draft. NotFoundError where there is none."""
    await repository.lock(session)
    draft = await _draft(session)
    await repository.retire_draft(session)
    detail = {"version": draft.version}
    await journal.record(session, at=now, actor=actor, action="tiers.draft_dropped", subject_id=draft.id, detail=detail)


async def activate(session: WriteSession, version: int, now: datetime, *, actor: str) -> TierSet:
    """Put the draft in force; the job then judges every member by it.

    `version` is the draft that the caller means: OtherDraftError where it was replaced since. Repeating it
    changes nothing.
    """
    await repository.lock(session)
    in_force = await repository.set_of(session, "active")
    if in_force is not None and in_force.version == version:
        return in_force
    draft = await _draft(session)
    if draft.version != version:
        raise OtherDraftError(f"The draft is version {draft.version} by now.")
    tiers = [(new_id("tie", now), tier) for tier in ladder_of(draft.document).tiers]
    await repository.activate(session, draft.id, now)
    await repository.enforce(session, tiers, now)
    detail = {"version": version, "before": None if in_force is None else in_force.version}
    await journal.record(session, at=now, actor=actor, action="tiers.activated", subject_id=draft.id, detail=detail)
    done = await repository.set_of(session, "active")
    if done is None:
        raise AssertionError("the draft was just put in force")
    return done


async def _draft(session: Session) -> TierSet:
    draft = await repository.set_of(session, "draft")
    if draft is None:
        raise NotFoundError("There is no draft of tiers.")
    return draft


async def preview(session: Session, now: datetime) -> Preview:
    """Who would move where if the draft were put in force now; one statement over all members, nothing written."""
    draft = await _draft(session)
    ladder = ladder_of(draft.document)
    rule = ladder.qualification
    zone = ZoneInfo((await programs.current(session)).time_zone)
    below_before = now - running_grace(rule)
    groups = await queries.alike(session, domain.measure(ladder, now, zone), below_before)
    known = await repository.tiers_by_id(session, {group.tier_id for group in groups if group.tier_id})
    ranks = {tier.external_id: rank for rank, tier in enumerate(ladder.tiers, 1)}
    moves: dict[tuple[str | None, str | None, str], int] = {}
    on_notice = unchanged = 0
    for group in groups:
        tier = known.get(group.tier_id or "")
        rank = NO_TIER if tier is None else ranks.get(tier.external_id, ladder.rank_of(tier.threshold))
        # Of the instants only the side of the grace's end counts, so one of each stands for all.
        below_since = None if group.below is None else below_before if group.below else now
        verdict = domain.judge(Held(rank, below_since, group.assigned), group.earned, rule, now)
        target = ladder.tiers[verdict.rank - 1].external_id if verdict.rank else None
        source = None if tier is None else tier.external_id
        if source != target:
            demanded = 0 if tier is None else tier.threshold
            direction = verdict.direction or domain.direction_between(demanded, ladder.threshold(verdict.rank))
            key = (source, target, direction)
            moves[key] = moves.get(key, 0) + group.members
        elif verdict.below_since is not None:
            on_notice += group.members
        else:
            unchanged += group.members
    listed = [Move(*key, count) for key, count in sorted(moves.items(), key=lambda item: (-item[1], str(item[0])))]
    return Preview(draft.version, listed, on_notice, unchanged)


async def member_tier(session: Session, member_id: str, now: datetime) -> MemberTier:
    """What an active member holds and lacks, by what is committed now; its tier as of its last evaluation."""
    there = await find_force(session, now)
    standing = await repository.standing_of(session, member_id)
    held_id = None if standing is None else standing.tier_id
    tier = (await repository.tiers_by_id(session, [held_id])).get(held_id) if held_id else None
    if there is None:
        return MemberTier(standing, tier, None, None)
    found = None
    for row in await queries.readings(session, there.by, [member_id]):
        found = domain.progress(there.by, held_of(row, there.by.ladder), int(row.figure), now)
    return MemberTier(standing, tier, there.by.ladder, found)


async def assign(
    session: WriteSession,
    member_id: str,
    *,
    tier_external_id: str,
    reason: str,
    ends_at: datetime | None,
    now: datetime,
    actor: str,
) -> None:
    """Give a member a tier by hand, until `ends_at` (None: until it is removed); no evaluation touches it.

    Replaces an assignment before it. InvalidInputError for a tier that is not in force or an end that is past.
    """
    await repository.lock(session)
    there = await force(session, now)
    tiers = {tier.external_id: tier for tier in await repository.tiers_in_force(session)}
    tier = tiers.get(tier_external_id)
    errors = []
    if tier is None:
        errors.append(FieldError("/tier", "unknown", "Must be a tier that is in force."))
    if ends_at is not None and ends_at <= now:
        errors.append(FieldError("/ends_at", "past", "Must lie in the future."))
    if errors or tier is None:
        raise InvalidInputError("The tier cannot be assigned.", errors=errors)
    before = await repository.standing_of(session, member_id)
    source = None if before is None else before.tier_id
    since = now if before is None or source != tier.id else before.since
    row = StandingSaved(member_id, tier.id, since, None, actor, ends_at, reason)
    direction = await _direction(session, source, tier)
    await repository.save(session, [row])
    figures: Mapping[str, object] = {"set_version": there.version}
    await tell(session, [Change(member_id, source, tier.id, direction, "assignment", figures, actor)], now)
    detail = {"tier_id": tier.id, "reason": reason, "ends_at": None if ends_at is None else ends_at.isoformat()}
    await journal.record(session, at=now, actor=actor, action="tier.assigned", subject_id=member_id, detail=detail)


async def _direction(session: WriteSession, source: str | None, tier: Tier) -> str:
    if source is None:
        return "joined"
    before = (await repository.tiers_by_id(session, [source]))[source]
    return domain.direction_between(before.threshold, tier.threshold)


async def unassign(session: WriteSession, member_id: str, now: datetime, *, actor: str) -> None:
    """End an assignment now; the member holds what was earned. NotFoundError where there is none."""
    await repository.lock(session)
    standing = await repository.standing_of(session, member_id)
    if standing is None or standing.assigned_by is None:
        raise NotFoundError("No tier is assigned to this member.")
    ended = StandingSaved(
        member_id, standing.tier_id, standing.since, None, standing.assigned_by, now, standing.assigned_reason
    )
    await repository.save(session, [ended])
    await evaluate(session, [member_id], "assignment_ended", now)
    detail = {"tier_id": standing.tier_id}
    await journal.record(session, at=now, actor=actor, action="tier.unassigned", subject_id=member_id, detail=detail)
