"""Profiles on the wire."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field, field_validator

from mereau.core.schemas import Day, Email, Label, Locale, Name, Phone, Request, Resource
from mereau.members.profile.domain import FIELDS, BlockReason, ChangeReason

ATTRIBUTES_MAX: Final = 32
LABELS_MAX: Final = 50
_INTEGER_MAX: Final = 2**53 - 1
_ATTRIBUTE: Final = r"^[a-z][a-z0-9_]{0,39}$"

AttributeName = Annotated[str, Field(pattern=_ATTRIBUTE)]
AttributeText = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
AttributeNumber = Annotated[int, Field(ge=-_INTEGER_MAX, le=_INTEGER_MAX)]
Attributes = Annotated[dict[AttributeName, AttributeText | AttributeNumber | bool], Field(max_length=ATTRIBUTES_MAX)]
"""Flat facts of the caller's own: texts, integers and booleans."""


RequiredField = Annotated[str, Field(pattern=rf"^(?:{'|'.join(FIELDS)}|attributes\.[a-z][a-z0-9_]{{0,39}})$")]


class MemberChange(Request):
    """What changes; a field that is absent stays, null clears it. `attributes` and `labels` are replaced whole."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"display_name": "Camille Roy", "birth_date": "1990-02-28"}}
    )

    display_name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    locale: Locale = "fr"
    birth_date: Day | None = Field(default=None, description="Set freely once, then changed once a year at most.")
    attributes: Attributes = Field(default_factory=dict)
    labels: list[Label] = Field(default_factory=list, max_length=LABELS_MAX, description="Operators set these.")
    reason: ChangeReason | None = Field(default=None, description="Operators change a locked birth date with one.")

    @field_validator("labels")
    @classmethod
    def _sorted(cls, labels: list[str]) -> list[str]:
        return sorted(set(labels))

    def values(self) -> dict[str, object]:
        """The fields that were said, by column."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "reason"}


class BlockCreate(Request):
    """Why a member is blocked, or no longer."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": "fraud_suspected"}})

    reason: BlockReason


class ProfileRequirementsChange(Request):
    """The fields of a complete profile: those of a member, or `attributes.<name>`."""

    model_config = ConfigDict(json_schema_extra={"example": {"fields": ["email", "birth_date", "attributes.size"]}})

    fields: list[RequiredField] = Field(max_length=ATTRIBUTES_MAX)


class ProfileRequirementsOut(Resource):
    """The fields of a complete profile."""

    fields: list[str]


class ProfileOut(Resource):
    """Whether a member's profile is complete, and what is missing."""

    member_id: str
    complete: bool
    missing: list[str]
