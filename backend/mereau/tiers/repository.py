"""SQL of tiers: sets, the tiers in force, standings and passes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import orjson
from sqlalchemy import func, select, text, update

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.members.models import Member
from mereau.tiers.domain import TierSpec
from mereau.tiers.models import Tier, TierChange, TierPass, TierSet, TierStanding

Session = ReadSession | WriteSession

_LOCK = text("select pg_advisory_xact_lock(hashtextextended('mereau.tiers', 0))")

# Ranks pass from one tier to another: all are retired first, so that no two hold a rank at a time.
_RETIRE = text("update tiers set status = 'retired' where status = 'active'")

_ENFORCE = text("""
    insert into tiers (id, external_id, status, rank, threshold, name_fr, name_en, description_fr, description_en,
                       picture_url, benefits, created_at)
    select id, external_id, 'active', rank, threshold, name_fr, name_en, description_fr, description_en, picture_url,
           cast(benefits as jsonb), :now
    from unnest(
        cast(:ids as text[]), cast(:external_ids as text[]), cast(:thresholds as bigint[]),
        cast(:names_fr as text[]), cast(:names_en as text[]), cast(:descriptions_fr as text[]),
        cast(:descriptions_en as text[]), cast(:pictures as text[]), cast(:benefits as text[])
    ) with ordinality as said (id, external_id, threshold, name_fr, name_en, description_fr, description_en,
                               picture_url, benefits, rank)
    on conflict (external_id) do update set
        status = 'active', rank = excluded.rank, threshold = excluded.threshold, name_fr = excluded.name_fr,
        name_en = excluded.name_en, description_fr = excluded.description_fr,
        description_en = excluded.description_en, picture_url = excluded.picture_url, benefits = excluded.benefits
""")

_SAVE = text("""
    insert into tier_standings (member_id, tier_id, since, below_since, assigned_by, assigned_until, assigned_reason)
    select * from unnest(
        cast(:member_ids as text[]), cast(:tier_ids as text[]), cast(:since as timestamptz[]),
        cast(:below_since as timestamptz[]), cast(:assigned_by as text[]), cast(:assigned_until as timestamptz[]),
        cast(:assigned_reasons as text[])
    )
    on conflict (member_id) do update set
        tier_id = excluded.tier_id, since = excluded.since, below_since = excluded.below_since,
        assigned_by = excluded.assigned_by, assigned_until = excluded.assigned_until,
        assigned_reason = excluded.assigned_reason
""")


@dataclass(frozen=True, slots=True)
class StandingSaved:
    """A standing as it is to be; see `models.TierStanding`."""

    member_id: str
    tier_id: str | None
    since: datetime
    below_since: datetime | None = None
    assigned_by: str | None = None
    assigned_until: datetime | None = None
    assigned_reason: str | None = None


async def lock(session: WriteSession) -> None:
    """One writer of sets and standings at a time, until the transaction ends."""
    await session.execute(_LOCK)


async def set_of(session: Session, status: str) -> TierSet | None:
    """The set of this status, `draft` or `active`."""
    query = select(TierSet).where(TierSet.status == status)
    return await session.scalar(query.execution_options(populate_existing=True))


async def next_version(session: WriteSession) -> int:
    return (await session.scalar(select(func.max(TierSet.version))) or 0) + 1


async def retire_draft(session: WriteSession) -> None:
    """Its version stays taken, so that no other draft is ever put in force in its place."""
    await session.execute(update(TierSet).where(TierSet.status == "draft").values(status="retired"))


async def add_set(session: WriteSession, row: TierSet) -> None:
    session.add(row)
    await session.flush()


async def activate(session: WriteSession, set_id: str, now: datetime) -> None:
    await session.execute(update(TierSet).where(TierSet.status == "active").values(status="retired"))
    await session.execute(update(TierSet).where(TierSet.id == set_id).values(status="active", activated_at=now))


async def enforce(session: WriteSession, tiers: Sequence[tuple[str, TierSpec]], now: datetime) -> None:
    """Put these tiers in force, in their order; a tier known by its external id keeps its id."""
    await session.execute(_RETIRE)
    await session.execute(
        _ENFORCE,
        {
            "ids": [id_ for id_, _ in tiers],
            "external_ids": [tier.external_id for _, tier in tiers],
            "thresholds": [tier.threshold for _, tier in tiers],
            "names_fr": [tier.name_fr for _, tier in tiers],
            "names_en": [tier.name_en for _, tier in tiers],
            "descriptions_fr": [tier.description_fr for _, tier in tiers],
            "descriptions_en": [tier.description_en for _, tier in tiers],
            "pictures": [tier.picture_url for _, tier in tiers],
            "benefits": [_benefits(tier) for _, tier in tiers],
            "now": now,
        },
    )


def _benefits(tier: TierSpec) -> str:
    said = {"multiplier_percent": tier.multiplier_percent, "entitlements": tier.entitlements}
    return orjson.dumps(said).decode()


async def tiers_in_force(session: Session) -> list[Tier]:
    """The lowest first."""
    query = select(Tier).where(Tier.status == "active").order_by(Tier.rank)
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def tiers_by_id(session: Session, ids: Iterable[str]) -> dict[str, Tier]:
    rows = await session.scalars(select(Tier).where(Tier.id == func.any(list(ids))))
    return {tier.id: tier for tier in rows}


async def by_external_id(session: Session, external_id: str) -> Tier | None:
    return await session.scalar(select(Tier).where(Tier.external_id == external_id))


async def standing_of(session: Session, member_id: str) -> TierStanding | None:
    query = select(TierStanding).where(TierStanding.member_id == member_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def save(session: WriteSession, standings: Sequence[StandingSaved]) -> None:
    if not standings:
        return
    await session.execute(
        _SAVE,
        {
            "member_ids": [row.member_id for row in standings],
            "tier_ids": [row.tier_id for row in standings],
            "since": [row.since for row in standings],
            "below_since": [row.below_since for row in standings],
            "assigned_by": [row.assigned_by for row in standings],
            "assigned_until": [row.assigned_until for row in standings],
            "assigned_reasons": [row.assigned_reason for row in standings],
        },
    )


async def add_changes(session: WriteSession, rows: Iterable[Sequence[object]]) -> None:
    columns = ("member_id", "from_tier_id", "to_tier_id", "direction", "cause", "figures", "actor", "at")
    await copy_rows(session, TierChange, columns, rows)


async def members_after(session: Session, after_id: str, limit: int) -> list[str]:
    """Ids of active members, in their order."""
    rows = await session.scalars(
        select(Member.id).where(Member.id > after_id, Member.status == "active").order_by(Member.id).limit(limit)
    )
    return list(rows)


async def members_due(session: Session, below_before: datetime, now: datetime, limit: int) -> list[str]:
    """Active members whose grace began by that instant, or whose assignment has ended."""
    below = select(TierStanding.member_id).where(TierStanding.below_since <= below_before)
    ended = select(TierStanding.member_id).where(TierStanding.assigned_until <= now)
    due = select(Member.id).where(Member.id.in_(below.union(ended)), Member.status == "active")
    return list(await session.scalars(due.order_by(Member.id).limit(limit)))


async def last_pass(session: Session, set_version: int) -> TierPass | None:
    query = select(TierPass).where(TierPass.set_version == set_version).order_by(TierPass.day.desc()).limit(1)
    return await session.scalar(query.execution_options(populate_existing=True))


async def add_pass(session: WriteSession, day: date, set_version: int, now: datetime) -> TierPass:
    begun = TierPass(day=day, set_version=set_version, after_id="", evaluated=0, changed=0, started_at=now)
    session.add(begun)
    await session.flush()
    return begun
