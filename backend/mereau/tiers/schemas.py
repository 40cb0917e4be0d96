"""Tiers on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from mereau.core.amounts import MAX_TOKENS
from mereau.core.schemas import ExternalId, Instant, Label, Name, Request, Resource
from mereau.tiers.domain import (
    TIERS_MAX,
    Basis,
    Downgrade,
    Ladder,
    Qualification,
    Target,
    TierSpec,
    Window,
    ladder_of,
)
from mereau.tiers.models import Tier, TierChange, TierSet
from mereau.tiers.service import MemberTier, Preview

_MONTHS_MAX: Final = 120
_GRACE_DAYS_MAX: Final = 3_660
_MULTIPLIER_MAX: Final = 10_000
_ENTITLEMENTS_MAX: Final = 50
_ROLLING_MONTHS: Final = 12

Text = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$")]
Url = Annotated[str, Field(min_length=9, max_length=2_000, pattern=r"^https://[^\s\x00-\x1f\x7f]+$")]
BasisName = Literal["tokens_earned", "spend", "visits", "balance"]
WindowName = Literal["rolling", "calendar_year", "since_joining", "since_change"]
DowngradeName = Literal["never", "one_step", "by_value"]
Direction = Literal["joined", "up", "down", "kept"]


class QualificationPut(Request):
    """What counts towards every tier, since when, and what becomes of who is below.

    `tokens_earned` counts tokens that were not taken back, spent or not; `spend` the money of goods that were kept;
    `visits` days with a purchase that was kept; `balance` what is there to spend. What comes back counts no longer:
    a return may demote. Redeeming demotes under `balance` alone.
    """

    basis: BasisName = "tokens_earned"
    window: WindowName = Field(default="rolling", description="Of no meaning for the basis `balance`.")
    window_months: int | None = Field(
        default=None, ge=1, le=_MONTHS_MAX, description="Of a rolling window; 12 where absent."
    )
    grace_days: int = Field(
        default=0, ge=0, le=_GRACE_DAYS_MAX, description="How long a member keeps a tier that is no longer earned."
    )
    downgrade: DowngradeName = Field(
        default="by_value",
        description="After the grace: to what is earned, by one step per grace (a day at least), never.",
    )

    def rule(self) -> Qualification:
        months = self.window_months
        if months is None and self.window == "rolling" and self.basis != "balance":
            months = _ROLLING_MONTHS
        return Qualification(Basis(self.basis), Window(self.window), months, self.grace_days, Downgrade(self.downgrade))


class TierPut(Request):
    """One tier. `threshold` is in tokens, minor units or days, as the basis says."""

    external_id: ExternalId
    name_fr: Name
    name_en: Name
    description_fr: Text | None = None
    description_en: Text | None = None
    picture_url: Url | None = None
    threshold: int = Field(ge=0, le=MAX_TOKENS)
    multiplier_percent: int = Field(default=100, ge=0, le=_MULTIPLIER_MAX, description="For earning rules; 100: as is.")
    entitlements: list[Label] = Field(default=[], max_length=_ENTITLEMENTS_MAX, description="Flags that others read.")

    def spec(self) -> TierSpec:
        return TierSpec(**self.model_dump() | {"entitlements": tuple(dict.fromkeys(self.entitlements))})


class TierSetPut(Request):
    """All tiers together, the lowest first; thresholds rise."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "qualification": {"basis": "spend", "window": "calendar_year", "grace_days": 90},
                "tiers": [
                    {"external_id": "bronze", "name_fr": "Bronze", "name_en": "Bronze", "threshold": 0},
                    {"external_id": "gold", "name_fr": "Or", "name_en": "Gold", "threshold": 100_000},
                ],
            }
        }
    )

    qualification: QualificationPut = QualificationPut()
    tiers: list[TierPut] = Field(min_length=1, max_length=TIERS_MAX)

    def ladder(self) -> Ladder:
        return Ladder(self.qualification.rule(), tuple(tier.spec() for tier in self.tiers))


class TierActivation(Request):
    """Which draft is meant, as its preview said."""

    model_config = ConfigDict(json_schema_extra={"example": {"version": 2}})

    version: int = Field(ge=1, le=2**31 - 1)


class TierAssignmentPut(Request):
    """A tier given by hand."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"tier": "gold", "reason": "apology after a lost parcel", "ends_at": "2099-01-01T00:00:00Z"}
        }
    )

    tier: ExternalId
    reason: Name
    ends_at: Instant | None = Field(default=None, description="Null: until it is removed.")


class QualificationOut(Resource):
    """See QualificationPut."""

    basis: BasisName
    window: WindowName
    window_months: int | None
    grace_days: int
    downgrade: DowngradeName


class TierOut(Resource):
    """A tier; `id` is null until its set is put in force for the first time."""

    id: str | None
    external_id: str
    rank: int
    name_fr: str
    name_en: str
    description_fr: str | None
    description_en: str | None
    picture_url: str | None
    threshold: int
    multiplier_percent: int
    entitlements: list[str]


class TierSetOut(Resource):
    """A version of all tiers together; without any version nothing was ever put in force."""

    version: int | None
    status: Literal["draft", "active"] | None
    activated_at: datetime | None
    qualification: QualificationOut | None
    tiers: list[TierOut]


class MoveOut(Resource):
    """So many members would go from one tier to another at once."""

    from_tier: str | None
    to_tier: str | None
    direction: Direction
    members: int


class TierPreviewOut(Resource):
    """What putting the draft in force would do now; `on_notice` stay until their grace is over."""

    version: int
    moves: list[MoveOut]
    on_notice: int
    unchanged: int


class TargetOut(Resource):
    """What is missing for a tier, and until when it may be made up; null: without an end."""

    tier: str
    threshold: int
    missing: int
    until: datetime | None


class AssignmentOut(Resource):
    """Given by hand: no evaluation touches it until its end."""

    reason: str | None
    ends_at: datetime | None


class MemberTierOut(Resource):
    """Where a member stands, in the unit of the basis. What was just bought counts within seconds."""

    member_id: str
    tier: TierOut | None
    since: datetime | None
    below_since: datetime | None
    assignment: AssignmentOut | None
    basis: BasisName | None
    figure: int | None
    to_next: TargetOut | None
    to_keep: TargetOut | None


class TierChangeOut(Resource):
    """One line of a member's tier history; tiers by id."""

    seq: int
    from_tier_id: str | None
    to_tier_id: str | None
    direction: Direction
    cause: str
    figures: dict[str, object]
    at: datetime


def show_set(row: TierSet | None, in_force: Sequence[Tier]) -> TierSetOut:
    """The set; ids are those of the tiers in force that it names."""
    if row is None:
        return TierSetOut(version=None, status=None, activated_at=None, qualification=None, tiers=[])
    ladder = ladder_of(row.document)
    ids = {tier.external_id: tier.id for tier in in_force}
    tiers = [_tier(spec, rank, ids.get(spec.external_id)) for rank, spec in enumerate(ladder.tiers, 1)]
    return TierSetOut(
        version=row.version,
        status="draft" if row.status == "draft" else "active",
        activated_at=row.activated_at,
        qualification=QualificationOut.model_validate(row.document["qualification"]),
        tiers=tiers,
    )


def _tier(spec: TierSpec, rank: int, id_: str | None) -> TierOut:
    fields = {name: getattr(spec, name) for name in TierOut.model_fields if name not in {"id", "rank", "entitlements"}}
    return TierOut.model_validate(fields | {"id": id_, "rank": rank, "entitlements": list(spec.entitlements)})


def show_tier(tier: Tier) -> TierOut:
    own = {name: getattr(tier, name) for name in TierOut.model_fields if hasattr(tier, name)}
    return TierOut.model_validate(own | tier.benefits)


def show_preview(preview: Preview) -> TierPreviewOut:
    return TierPreviewOut.model_validate(preview)


def show_change(change: TierChange) -> TierChangeOut:
    return TierChangeOut.model_validate(change)


def show_member_tier(member_id: str, found: MemberTier, *, inside: bool) -> MemberTierOut:
    """Why a tier was given by hand is told `inside` alone: to operators and auditors."""
    standing, progress = found.standing, found.progress
    assignment = None
    if standing is not None and standing.assigned_by is not None:
        assignment = AssignmentOut(reason=standing.assigned_reason if inside else None, ends_at=standing.assigned_until)
    return MemberTierOut(
        member_id=member_id,
        tier=None if found.tier is None else show_tier(found.tier),
        since=None if standing is None or found.tier is None else standing.since,
        below_since=None if standing is None else standing.below_since,
        assignment=assignment,
        basis=None if found.ladder is None else found.ladder.qualification.basis.value,
        figure=None if progress is None else progress.figure,
        to_next=_target(found.ladder, None if progress is None else progress.to_next),
        to_keep=_target(found.ladder, None if progress is None else progress.to_keep),
    )


def _target(ladder: Ladder | None, target: Target | None) -> TargetOut | None:
    if ladder is None or target is None:
        return None
    tier = ladder.tiers[target.rank - 1]
    return TargetOut(tier=tier.external_id, threshold=tier.threshold, missing=target.missing, until=target.until)
