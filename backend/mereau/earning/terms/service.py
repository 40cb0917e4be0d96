"""Reading and changing the terms."""

from dataclasses import asdict
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.terms import repository
from mereau.earning.terms.domain import DEFAULT_TERMS, Terms
from mereau.journal import service as journal

__all__ = ["Terms", "change", "current"]


async def current(session: ReadSession | WriteSession) -> Terms:
    """The terms that hold now; the defaults until an operator says otherwise."""
    return await repository.find(session) or DEFAULT_TERMS


async def change(session: WriteSession, terms: Terms, now: datetime, *, actor: str) -> None:
    """Lay down other terms, from now on. What was granted or attributed under the old ones stays."""
    if terms == await current(session):
        return
    await repository.replace(session, terms)
    await journal.record(
        session, at=now, actor=actor, action="earning_terms.changed", subject_id="earning_terms", detail=asdict(terms)
    )
