"""Registering cards, so that what is paid with them earns by itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.members.cards import repository
from mereau.members.cards.domain import card_digest
from mereau.members.models import PaymentCard
from mereau.members.profile import repository as profiles

__all__ = ["CARDS_MAX", "cards", "holders", "register", "remove"]

CARDS_MAX: Final = 10
"""Cards of one member at a time."""


async def register(
    session: WriteSession,
    member_id: str,
    token: str,
    name: str | None,
    now: datetime,
    *,
    actor: str,
) -> tuple[PaymentCard, bool]:
    """Register a card; the card, and whether it is new. What was paid with it before stays unassigned.

    NotFoundError for who is not an active member; ConflictError for a card that another member has registered, and
    for one too many. Locks the member's row.
    """
    member = await profiles.lock_member(session, member_id, None)
    if member is None or member.status != "active":
        raise NotFoundError("There is no such member.")
    digest = card_digest(token)
    held = await repository.of_member(session, member_id)
    for known in held:
        if known.digest == digest:
            return known, False
    if len(held) >= CARDS_MAX:
        raise ConflictError(f"A member has {CARDS_MAX} cards at most; remove one first.")
    card = PaymentCard(id=new_id("crd", now), member_id=member_id, digest=digest, name=name, created_at=now)
    if not await repository.add(session, card):
        raise ConflictError("This card cannot be registered.")
    await journal.record(
        session, at=now, actor=actor, action="card.registered", subject_id=card.id, detail={"member_id": member_id}
    )
    return card, True


async def cards(session: ReadSession | WriteSession, member_id: str) -> Sequence[PaymentCard]:
    """A member's cards, the newest first."""
    return await repository.of_member(session, member_id)


async def remove(session: WriteSession, member_id: str, card_id: str, now: datetime, *, actor: str) -> None:
    """Forget a card; NotFoundError where the member has no such card."""
    if not await repository.remove(session, member_id, card_id):
        raise NotFoundError("There is no such card.")
    await journal.record(
        session, at=now, actor=actor, action="card.removed", subject_id=card_id, detail={"member_id": member_id}
    )


async def holders(session: ReadSession | WriteSession, tokens: Sequence[str]) -> Mapping[str, str]:
    """Token -> the active member whose card it is; one statement however many."""
    by_digest = await repository.holders(session, [card_digest(token) for token in tokens])
    return {token: by_digest[card_digest(token)] for token in tokens if card_digest(token) in by_digest}
