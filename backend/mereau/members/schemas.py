"""Members on the wire."""

from datetime import date, datetime

from pydantic import ConfigDict, Field

from mereau.core.schemas import Day, Email, ExternalId, Locale, Name, Phone, Request, Resource
from mereau.members.domain import MemberDraft
from mereau.members.identity.domain import device_digest
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
    phone: Phone | None = None
    birth_date: Day | None = None
    device_tag: str | None = Field(
        default=None, min_length=8, max_length=200, description="Opaque; two accounts of one device are told by it."
    )

    def draft(self, partner_id: str | None) -> MemberDraft:
        """The member as the service takes it, enrolled by this partner."""
        return MemberDraft(
            external_id=self.external_id,
            display_name=self.display_name,
            email=self.email,
            locale=self.locale,
            enrolled_by_partner_id=partner_id,
            phone=self.phone,
            birth_date=self.birth_date,
            device_digest=None if self.device_tag is None else device_digest(self.device_tag),
        )


class MemberOut(Resource):
    """A member of the programme."""

    id: str
    external_id: str
    display_name: str | None
    email: str | None
    phone: str | None
    locale: str
    birth_date: date | None
    attributes: dict[str, object]
    labels: list[str]
    status: str
    blocked_reason: str | None
    enrolled_by_partner_id: str | None
    created_at: datetime


def show_member(member: Member) -> MemberOut:
    return MemberOut.model_validate(member)
