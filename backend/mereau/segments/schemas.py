"""Segments on the wire."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from mereau.core.schemas import ExternalId, Name, ObjectId, Request, Resource
from mereau.segments.models import Segment
from mereau.segments.service import SegmentDraft

LISTED_MAX: Final = 10_000

_FILTER: Final = """\
A tree. `{"all": [...]}`, `{"any": [...]}` and `{"not": ...}` over questions, at most 6 levels and 50 parts:
`purchases` {within_days, count, amount_minor, average_minor, partner_ids, location_ids, channels, skus, categories,
brands, labels}; `first_purchase`, `last_purchase`, `enrolled` {days_ago}; `balance` {tokens}; `rfm` {recency,
frequency, monetary: 1 to 5}; `birthday` {within_days}; `consent` {kind}; `tier`, `lifecycle` (new, regular, champion,
at_risk, lapsed), `locale`, `label`, `static_list` {in: [...]}. Ranges are {min, max}, both ends included."""

Filter = Annotated[dict[str, Any], Field(description=_FILTER)]


class SegmentCreate(Request):
    """A group of members: whom a filter finds, or (without one) whom a list names."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "external_id": "good-customers",
                "name_fr": "Bons clients",
                "name_en": "Good customers",
                "filter": {
                    "all": [{"purchases": {"within_days": 90, "count": {"min": 3}}}, {"tier": {"in": ["gold"]}}]
                },
            }
        }
    )

    external_id: ExternalId
    name_fr: Name
    name_en: Name
    filter: Filter | None = None

    def draft(self) -> SegmentDraft:
        return SegmentDraft(**self.model_dump())


class SegmentPreviewCreate(Request):
    """A filter to be tried before it is saved."""

    model_config = ConfigDict(json_schema_extra={"example": {"filter": {"lifecycle": {"in": ["at_risk"]}}}})

    filter: Filter


class MembersNamed(Request):
    """Members by either number."""

    ids: list[ObjectId] = Field(default=[], max_length=LISTED_MAX)
    external_ids: list[ExternalId] = Field(default=[], max_length=LISTED_MAX)


class SegmentListChange(Request):
    """Who joins a static list and who leaves it; who is on both sides leaves."""

    model_config = ConfigDict(json_schema_extra={"example": {"add": {"external_ids": ["card-100042"]}}})

    add: MembersNamed = MembersNamed()
    remove: MembersNamed = MembersNamed()


class SegmentOut(Resource):
    """A segment. The counts are of its last refresh; `state` tells of the next one."""

    id: str
    external_id: str
    name_fr: str
    name_en: str
    kind: Literal["dynamic", "static"]
    filter: dict[str, Any] | None
    state: Literal["idle", "queued", "running"]
    member_count: int
    entered_count: int
    left_count: int
    refreshed_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    created_at: datetime


class SegmentPreviewOut(Resource):
    """How many active members a filter finds now; what it asks of facts is as of their last refresh."""

    member_count: int
    facts_as_of: datetime | None


def show_segment(segment: Segment) -> SegmentOut:
    state = "idle" if segment.queued_at is None else "queued" if segment.started_at is None else "running"
    own = (name for name in SegmentOut.model_fields if name != "state")
    return SegmentOut.model_validate({**{name: getattr(segment, name) for name in own}, "state": state})
