"""Partners, their locations and staff on the wire."""

from datetime import datetime

from pydantic import ConfigDict, Field

from mereau.core.schemas import ExternalId, Name, ObjectId, Request, Resource, Tokens
from mereau.partners.models import Location, Partner, Staff


class AllowancePut(Request):
    """What the contract shall let the partner issue; null is without limit."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"allowance_tokens": 1_000_000, "period_cap_tokens": 50_000}}
    )

    allowance_tokens: Tokens | None = Field(description="Ceiling on tokens issued less reversed.")
    period_cap_tokens: Tokens | None = Field(description="What one cap period may issue.")


class PartnerCreate(Request):
    """A merchant joins."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "external_id": "boulangerie-martin",
                "name": "Boulangerie Martin",
                "allowance_tokens": 1_000_000,
            }
        }
    )

    external_id: ExternalId
    name: Name
    allowance_tokens: Tokens | None = Field(default=None, description="Null: without limit.")
    period_cap_tokens: Tokens | None = Field(default=None, description="Null: without limit.")


class PartnerOut(Resource):
    """A partner. Allowance and cap are what was asked for; the contract decides."""

    id: str
    external_id: str
    number: int = Field(description="The partner's id in the contract.")
    name: str
    status: str
    allowance_tokens: int | None
    period_cap_tokens: int | None
    created_at: datetime


class LocationCreate(Request):
    """A place of business."""

    model_config = ConfigDict(json_schema_extra={"example": {"external_id": "paris-11", "name": "Paris 11e"}})

    external_id: ExternalId
    name: Name


class LocationOut(Resource):
    """A place of business of a partner."""

    id: str
    partner_id: str
    external_id: str
    name: str
    created_at: datetime


class StaffCreate(Request):
    """A person who works for the partner."""

    model_config = ConfigDict(json_schema_extra={"example": {"external_id": "emp-7", "display_name": "Lou"}})

    external_id: ExternalId
    display_name: Name
    location_id: ObjectId | None = None


class StaffOut(Resource):
    """A member of a partner's staff."""

    id: str
    partner_id: str
    location_id: str | None
    external_id: str
    display_name: str
    status: str
    created_at: datetime


def show_partner(partner: Partner) -> PartnerOut:
    return PartnerOut.model_validate(partner)


def show_location(location: Location) -> LocationOut:
    return LocationOut.model_validate(location)


def show_staff(person: Staff) -> StaffOut:
    return StaffOut.model_validate(person)
