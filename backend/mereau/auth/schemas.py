"""API keys on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from mereau.auth.domain import Scope
from mereau.auth.models import ApiKey
from mereau.core.schemas import Instant, Name, ObjectId, Request, Resource

RoleName = Literal["operator", "partner", "staff", "member", "auditor"]
PartnerRoleName = Literal["partner", "staff"]


def _scope(value: object) -> object:
    """Strict models take no text for an enumeration; JSON has nothing else."""
    return next((scope for scope in Scope if scope.value == value), value)


ScopeIn = Annotated[Scope, BeforeValidator(_scope)]
_SCOPES_MAX = len(Scope)


class _KeyCreate(Request):
    name: Name = Field(description="What the key is for; shown in lists.")
    scopes: list[ScopeIn] | None = Field(
        default=None, max_length=_SCOPES_MAX, description="Absent: all that the role allows."
    )
    expires_at: Instant | None = None
    mode: Literal["live", "test"] = "live"

    def scope_set(self) -> frozenset[Scope] | None:
        return None if self.scopes is None else frozenset(self.scopes)


class PartnerKeyCreate(_KeyCreate):
    """A further key of a partner, or one for a member of its staff."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "Till 4", "role": "partner", "scopes": ["sales:write"]}}
    )

    role: PartnerRoleName = "partner"
    staff_id: ObjectId | None = Field(default=None, description="For the role staff.")


class KeyCreate(_KeyCreate):
    """A key for anybody; only an operator makes these."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "Auditor 2026", "role": "auditor"}})

    role: RoleName
    partner_id: ObjectId | None = None
    staff_id: ObjectId | None = None
    member_id: ObjectId | None = None


class KeyOut(Resource):
    """A key without its secret."""

    id: str
    role: RoleName
    name: str
    hint: str = Field(description="Prefix and last characters of the key.")
    scopes: list[str]
    partner_id: str | None
    staff_id: str | None
    member_id: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


class KeyCreated(KeyOut):
    """The one time that the key itself is shown."""

    key: str = Field(description="Keep it now: it is stored nowhere.")


def show_key(key: ApiKey) -> KeyOut:
    return KeyOut.model_validate(key)


def show_new_key(key: ApiKey, text: str) -> KeyCreated:
    return KeyCreated(**show_key(key).model_dump(), key=text)
