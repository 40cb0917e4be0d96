"""Actions and event schemas on the wire."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mereau.core.schemas import ExternalId, Instant, Label, ObjectId, Request, Resource
from mereau.earning.actions.domain import FieldSpec, FieldType
from mereau.earning.actions.models import Action, EventSchema
from mereau.earning.actions.service import RecordedAction
from mereau.members.profile.schemas import AttributeName, Attributes

FIELDS_MAX: Final = 32
OPTIONS_MAX: Final = 50
_FIGURE_MAX: Final = 2**53 - 1

EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Figure = Annotated[int, Field(ge=-_FIGURE_MAX, le=_FIGURE_MAX)]


class EventField(Request):
    """One field of a custom event. Bounds are of an integer, or of the characters of a text."""

    name: AttributeName
    type: FieldType
    required: bool = False
    options: list[Label] = Field(default_factory=list, max_length=OPTIONS_MAX, description="What a text may be.")
    minimum: Figure | None = None
    maximum: Figure | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.options and self.type != "text":
            raise PydanticCustomError("not_a_text", "Only a text has options")
        if self.type == "boolean" and (self.minimum, self.maximum) != (None, None):
            raise PydanticCustomError("boolean", "A boolean has no bounds")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise PydanticCustomError("empty_range", "The minimum exceeds the maximum")
        if self.name == "event":
            raise PydanticCustomError("reserved", "The name of the event stands there")
        return self

    def spec(self) -> FieldSpec:
        return FieldSpec(self.name, self.type, self.required, tuple(self.options), self.minimum, self.maximum)


class EventSchemaCreate(Request):
    """What a custom event says, from now on."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "workshop_attended",
                "fields": [{"name": "hours", "type": "integer", "required": True, "minimum": 1, "maximum": 8}],
            }
        }
    )

    name: EventName
    fields: list[EventField] = Field(default_factory=list, max_length=FIELDS_MAX)

    def specs(self) -> list[FieldSpec]:
        return [field.spec() for field in self.fields]


class EventSchemaOut(Resource):
    """One version of a custom event; the newest judges what comes in."""

    id: str
    name: str
    version: int
    fields: list[dict[str, object]]
    created_at: datetime


class ActionCreate(Request):
    """What a member did. It counts once per source and external_id, for ever; the source is the key's owner."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "review_approved",
                "external_id": "review-1042",
                "occurred_at": "2026-11-23T10:15:00+01:00",
                "attributes": {"rating": 5},
            }
        }
    )

    type: EventName = Field(
        description="review_approved, survey_answered, contest_entered, social_action, or an event."
    )
    external_id: ExternalId
    occurred_at: Instant
    attributes: Attributes = Field(default_factory=dict)
    partner_id: ObjectId | None = Field(
        default=None, description="For operators: who pays; else the rule's issuer. A partner pays itself."
    )


class ActionOut(Resource):
    """An action and what it earned."""

    id: str
    member_id: str
    partner_id: str | None
    type: str
    external_id: str
    schema_version: int | None
    occurred_at: datetime
    attributes: dict[str, object]
    tokens: int
    created_at: datetime


class ActionRecorded(ActionOut):
    """What a recorded action earned."""

    duplicate: bool = Field(description="The same action was recorded before.")


def show_schema(schema: EventSchema) -> EventSchemaOut:
    return EventSchemaOut.model_validate(schema)


def show_action(action: Action) -> ActionOut:
    return ActionOut.model_validate(action)


def show_recorded(recorded: RecordedAction) -> ActionRecorded:
    return ActionRecorded(**show_action(recorded.action).model_dump(), duplicate=recorded.duplicate)
