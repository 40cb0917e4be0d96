"""Consents on the wire."""

from datetime import datetime

from pydantic import ConfigDict

from mereau.core.schemas import Instant, Label, Request, Resource
from mereau.members.consents.domain import ConsentDraft, ConsentKind, ConsentState
from mereau.members.models import Consent


class ConsentCreate(Request):
    """What a member said, when, where, and under which version of the text."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "kind": "newsletter",
                "state": "given",
                "occurred_at": "2026-11-23T10:15:00+01:00",
                "source": "web_form",
                "text_version": "2026-01",
            }
        }
    )

    kind: ConsentKind
    state: ConsentState
    occurred_at: Instant
    source: Label
    text_version: Label

    def draft(self) -> ConsentDraft:
        return ConsentDraft(self.kind, self.state, self.occurred_at, self.source, self.text_version)


class ConsentOut(Resource):
    """One record; what counts of a kind is the one that was said last."""

    id: str
    member_id: str
    kind: str
    state: str
    occurred_at: datetime
    source: str
    text_version: str
    created_at: datetime


def show_consent(consent: Consent) -> ConsentOut:
    return ConsentOut.model_validate(consent)
