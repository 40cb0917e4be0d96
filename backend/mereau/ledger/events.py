"""The events that the ledger publishes."""

from collections.abc import Iterable, Sequence
from datetime import date

from mereau.ledger.domain import Line
from mereau.outbox.service import Event


def entry_events(lines: Iterable[Line]) -> list[Event]:
    """`entry.pending` or `entry.accepted`: a new line stands in a member's statement, or a pending one counts."""
    return [
        Event(
            f"entry.{line.state}",
            line.id,
            {
                "member_id": line.member_id,
                "kind": line.kind,
                "tokens": line.tokens,
                "source_id": line.source_id,
            },
        )
        for line in lines
    ]


def cancelled(entry_id: str, member_id: str, tokens: int) -> Event:
    """`entry.cancelled`: so many tokens of a pending credit will never be issued."""
    return Event("entry.cancelled", entry_id, {"member_id": member_id, "tokens": tokens})


def rejected(line: Line, reason: str) -> Event:
    """`entry.rejected`: the entry will have no effect on chain, and what it did in the ledger is undone."""
    return Event(
        "entry.rejected",
        line.id,
        {
            "member_id": line.member_id,
            "kind": line.kind,
            "tokens": line.tokens,
            "source_id": line.source_id,
            "reason": reason,
        },
    )


def redemptions(word: str, entry_ids: Iterable[str]) -> list[Event]:
    """`entry.mined`, `entry.final` or `entry.reorged`, for redemptions only: somebody waits for them."""
    return [Event(f"entry.{word}", entry_id, {}) for entry_id in entry_ids]


def batches(word: str, batch_ids: Sequence[str], head_number: int) -> list[Event]:
    """`batch.mined`, `batch.final` or `batch.reorged`, at the mirror's head."""
    return [Event(f"batch.{word}", batch_id, {"head_number": head_number}) for batch_id in batch_ids]


def expiring(member_id: str, tokens: int, expires_on: date, notice_days: int) -> Event:
    """`lot.expiring`: so many free tokens of the member expire on that day unless they are spent before."""
    payload = {
        "member_id": member_id,
        "tokens": tokens,
        "expires_on": expires_on.isoformat(),
        "notice_days": notice_days,
    }
    return Event("lot.expiring", member_id, payload)
