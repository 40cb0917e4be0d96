"""Reads of who holds which tier, and of what counts towards one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Subquery, case, func, literal, or_, select

from mereau.core.db import ReadSession, WriteSession
from mereau.ledger.domain import ReasonCode
from mereau.ledger.models import Account, Entry, Lot
from mereau.members.models import Member
from mereau.sales.models import Return, Sale, SaleLine
from mereau.sales.queries import kept_minor
from mereau.tiers.domain import NO_TIER, Basis, Measure, Window
from mereau.tiers.models import Tier, TierChange
from mereau.tiers.models import TierStanding as StandingRow

Session = ReadSession | WriteSession

Query = Select[*tuple[Any, ...]]

_LONG_AGO: Final = literal("-infinity").cast(StandingRow.since.type)


@dataclass(frozen=True, slots=True)
class TierStanding:
    """The tier that a member holds. `entitlements` are flags such as `free_returns`."""

    tier_id: str
    external_id: str
    rank: int
    multiplier_percent: int
    entitlements: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a member holds (see `models.TierStanding`), what counts towards a tier, and the rank it has earned."""

    member_id: str
    figure: int
    earned: int
    tier_id: str | None
    tier_rank: int | None
    tier_threshold: int | None
    tier_status: str | None
    since: datetime | None
    below_since: datetime | None
    assigned_by: str | None
    assigned_until: datetime | None
    assigned_reason: str | None


@dataclass(frozen=True, slots=True)
class Alike:
    """So many members who hold the same, by hand or not, and have earned the same.

    `below` None: they hold what they earned; else whether they are below since before the instant asked for.
    """

    tier_id: str | None
    earned: int
    assigned: bool
    below: bool | None
    members: int


async def tiers_of(session: Session, member_ids: Sequence[str]) -> dict[str, TierStanding]:
    """Member id -> tier, for those who hold one; one statement."""
    rows = await session.execute(
        select(StandingRow.member_id, Tier.id, Tier.external_id, Tier.rank, Tier.benefits)
        .join(Tier, Tier.id == StandingRow.tier_id)
        .where(StandingRow.member_id == func.any(list(member_ids)))
    )
    return {
        member_id: TierStanding(
            tier_id, external_id, rank, benefits["multiplier_percent"], frozenset(benefits["entitlements"])
        )
        for member_id, tier_id, external_id, rank, benefits in rows
    }


async def members_of_returns(session: Session, return_ids: Sequence[str]) -> set[str]:
    """Whose goods came back."""
    rows = await session.scalars(
        select(Sale.member_id)
        .join(Return, Return.sale_id == Sale.id)
        .where(Return.id == func.any(list(return_ids)), Sale.member_id.is_not(None))
    )
    return {member_id for member_id in rows if member_id is not None}


async def changes(session: Session, member_id: str, before_seq: int | None, limit: int) -> Sequence[TierChange]:
    """A member's tier history, newest first."""
    query = select(TierChange).where(TierChange.member_id == member_id).order_by(TierChange.seq.desc()).limit(limit)
    if before_seq is not None:
        query = query.where(TierChange.seq < before_seq)
    return (await session.scalars(query)).all()


async def readings(session: Session, by: Measure, ids: Sequence[str]) -> list[Reading]:
    """One for each of these members that is active."""
    return [Reading(*row) for row in await session.execute(_standings(by, ids))]


async def movable(session: Session, by: Measure, ids: Sequence[str]) -> list[Reading]:
    """As `readings`, without those who hold what they earned and whom nothing else can move."""
    found = _standings(by, ids).subquery()
    return [Reading(*row) for row in await session.execute(select(found).where(_may_move(found.c)))]


async def alike(session: Session, by: Measure, below_before: datetime) -> list[Alike]:
    """All active members in groups, by one statement."""
    found = _standings(by, None).subquery()
    assigned, below = found.c.assigned_by.is_not(None), found.c.below_since <= below_before
    keys = (found.c.tier_id, found.c.earned, assigned, below)
    return [Alike(*row) for row in await session.execute(select(*keys, func.count()).group_by(*keys))]


def _may_move(row: Any) -> ColumnElement[bool]:
    return or_(
        row.earned != func.coalesce(row.tier_rank, NO_TIER),
        row.below_since.is_not(None),
        row.assigned_by.is_not(None),
        row.tier_status == "retired",
    )


def _standings(by: Measure, ids: Sequence[str] | None) -> Query:
    """One row for each active member (of `ids`, where given): what it holds, its `figure`, the rank `earned`."""
    counted = _counted(by, ids)
    figure = func.coalesce(counted.c.figure, 0)
    steps = [(figure >= tier.threshold, rank) for rank, tier in enumerate(by.ladder.tiers, 1)]
    query: Query = (
        select(
            Member.id.label("member_id"),
            figure.label("figure"),
            case(*reversed(steps), else_=NO_TIER).label("earned"),
            StandingRow.tier_id,
            Tier.rank.label("tier_rank"),
            Tier.threshold.label("tier_threshold"),
            Tier.status.label("tier_status"),
            StandingRow.since,
            StandingRow.below_since,
            StandingRow.assigned_by,
            StandingRow.assigned_until,
            StandingRow.assigned_reason,
        )
        .outerjoin(counted, counted.c.member_id == Member.id)
        .outerjoin(StandingRow, StandingRow.member_id == Member.id)
        .outerjoin(Tier, Tier.id == StandingRow.tier_id)
        .where(Member.status == "active")
    )
    return query if ids is None else query.where(Member.id == func.any(list(ids)))


def _counted(by: Measure, ids: Sequence[str] | None) -> Subquery:
    """(member_id, figure) of all who have any."""
    rule = by.ladder.qualification
    if rule.basis is Basis.BALANCE:
        owned = func.greatest(Account.available - Account.debt, 0)
        return _of(select(Account.member_id, owned.label("figure")), Account.member_id, ids).subquery()
    if rule.basis is Basis.TOKENS_EARNED:
        # What returns could not take back, because it was spent, was not earned either; what a refund gives back
        # was counted when it was earned.
        kept = Lot.tokens - Lot.reversed - Lot.unmet
        query: Query = select(Entry.member_id, func.sum(kept).label("figure")).join(Lot, Lot.entry_id == Entry.id)
        query = query.where(Entry.kind == "issue", Entry.state == "accepted", Entry.reason_code != ReasonCode.REFUND)
        owner: Any = Entry.member_id
        happened_at = Entry.occurred_at
    else:
        query = select(Sale.member_id, _purchases(rule.basis, by.zone).label("figure")).join(
            SaleLine, SaleLine.sale_id == Sale.id
        )
        query = query.where(Sale.member_id.is_not(None), SaleLine.returned_quantity < SaleLine.quantity)
        owner, happened_at = Sale.member_id, Sale.occurred_at
    if by.window.starts_at is not None:
        query = query.where(happened_at >= by.window.starts_at)
    if rule.window is Window.SINCE_CHANGE:
        query = query.outerjoin(StandingRow, StandingRow.member_id == owner)
        query = query.where(happened_at > func.coalesce(StandingRow.since, _LONG_AGO))
    return _of(query.group_by(owner), owner, ids).subquery()


def _purchases(basis: Basis, zone: str) -> ColumnElement[Any]:
    """Money of what was kept, or days in the programme's time zone on which anything was."""
    if basis is Basis.SPEND:
        return func.sum(kept_minor())
    return func.count(func.date(func.timezone(zone, Sale.occurred_at)).distinct())


def _of(query: Query, owner: Any, ids: Sequence[str] | None) -> Query:
    return query if ids is None else query.where(owner == func.any(list(ids)))
