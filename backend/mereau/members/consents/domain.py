"""Consents: what may be agreed to. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ConsentKind = Literal["newsletter", "prospecting_email", "prospecting_sms", "profiling", "terms"]
ConsentState = Literal["given", "withdrawn"]


@dataclass(frozen=True, slots=True)
class ConsentDraft:
    """A yes or no at an instant, under a version of a text; `source` says where it was said, e.g. `web_form`."""

    kind: ConsentKind
    state: ConsentState
    occurred_at: datetime
    source: str
    text_version: str
