"""The event that tiers publish."""

from collections.abc import Mapping
from dataclasses import dataclass

from mereau.outbox.service import Event


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a member's tier history on its way; tiers by id, None for no tier."""

    member_id: str
    source: str | None
    target: str | None
    direction: str
    cause: str
    figures: Mapping[str, object]
    actor: str | None = None


def changed(change: Change) -> Event:
    """`tier.changed`, of a member; direction joined | up | down | kept."""
    return Event(
        "tier.changed",
        change.member_id,
        {
            "member_id": change.member_id,
            "from": change.source,
            "to": change.target,
            "direction": change.direction,
            "cause": change.cause,
        },
    )
