"""Members on the wire."""

from datetime import datetime

from pydantic import ConfigDict, Field

from mereau.core.schemas import Email, ExternalId, Locale, Name, Request, Resource
from mereau.members.models import Member


class MemberCreate(Request):
    """Somebody joins. Repeating it with the same content answers with the same member."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"external_id": "card-100042", "display_name": "Camille Roy", "locale": "fr"}}
    )

    external_id: ExternalId
    display_name: Name | None = None
    email: Email | None = None
    locale: Locale = Field(default="fr", description="BCP 47, language and perhaps region.")


class MemberOut(Resource):
    """A member of the programme."""

    id: str
    external_id: str
    display_name: str | None
    email: str | None
    locale: str
    status: str
    enrolled_by_partner_id: str | None
    created_at: datetime


def show_member(member: Member) -> MemberOut:
    return MemberOut.model_validate(member)
