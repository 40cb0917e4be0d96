"""Making pools of codes, and claiming a code."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mereau.core.codes import CODE_BYTES, format_code
from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.earning.codes import repository
from mereau.earning.codes.domain import PoolDraft, code_digest, is_uploadable
from mereau.earning.codes.errors import CodeEarnsNothingError, CodeNotValidError
from mereau.earning.codes.models import CodeClaim, CodePool
from mereau.earning.crediting.service import award
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.journal import service as journal
from mereau.members import queries as members
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.partners import queries as partners

__all__ = [
    "Claimed",
    "PoolDraft",
    "claim",
    "close",
    "create_pool",
    "figures",
    "generate",
    "get_pool",
    "pools",
    "upload",
]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claimed code gave."""

    id: str
    member_id: str
    pool: CodePool
    tokens: int
    entry_ids: tuple[str, ...]


async def create_pool(session: WriteSession, draft: PoolDraft, now: datetime, *, actor: str) -> CodePool:
    """Open a pool, still without codes.

    InvalidInputError for a rule or partner that is not there, or an empty window; ConflictError for a taken
    external id.
    """
    errors = []
    if draft.campaign is not None and not await repository.rule_exists(session, draft.campaign):
        errors.append(FieldError("/campaign", "unknown", "There is no such earning rule."))
    if draft.partner_id is not None and not await partners.known_partners(session, [draft.partner_id]):
        errors.append(FieldError("/partner_id", "unknown", "There is no such partner."))
    if draft.valid_from is not None and draft.valid_until is not None and draft.valid_from >= draft.valid_until:
        errors.append(FieldError("/valid_until", "empty_window", "Must lie after valid_from."))
    if errors:
        raise InvalidInputError("The pool is not valid.", errors=errors)
    pool = CodePool(
        id=new_id("cpl", now),
        external_id=draft.external_id,
        partner_id=draft.partner_id,
        campaign=draft.campaign,
        object_reference=draft.object_reference,
        attributes=dict(draft.attributes),
        uses_per_code=draft.uses_per_code,
        valid_from=draft.valid_from,
        valid_until=draft.valid_until,
        status="active",
        created_at=now,
    )
    if not await repository.add_pool(session, pool):
        raise ConflictError(f"There is already a pool {draft.external_id}.")
    detail = {"external_id": draft.external_id, "campaign": draft.campaign, "uses_per_code": draft.uses_per_code}
    await journal.record(session, at=now, actor=actor, action="code_pool.created", subject_id=pool.id, detail=detail)
    return pool


async def get_pool(session: ReadSession | WriteSession, pool_id: str) -> CodePool:
    """The pool; NotFoundError where there is none."""
    pool = await repository.pool(session, pool_id)
    if pool is None:
        raise NotFoundError("There is no such pool of codes.")
    return pool


async def pools(session: ReadSession | WriteSession, before_id: str | None, limit: int) -> Sequence[CodePool]:
    """All pools, the newest first."""
    return await repository.pools_before(session, before_id, limit)


async def figures(session: ReadSession | WriteSession, pool_id: str) -> tuple[int, int, int]:
    """(codes, uses left, tokens credited) of a pool."""
    return await repository.figures(session, pool_id)


async def close(session: WriteSession, pool_id: str, now: datetime, *, actor: str) -> CodePool:
    """Let no code of the pool be claimed any more; idempotent. What was credited stays."""
    await get_pool(session, pool_id)
    if await repository.close(session, pool_id):
        await journal.record(session, at=now, actor=actor, action="code_pool.closed", subject_id=pool_id, detail={})
    return await get_pool(session, pool_id)


async def generate(session: WriteSession, pool_id: str, count: int, now: datetime, *, actor: str) -> list[str]:
    """So many new codes. They are told here once: what is kept are their digests."""
    pool = await get_pool(session, pool_id)
    codes = [format_code(secrets.token_bytes(CODE_BYTES)) for _ in range(count)]
    added = await repository.add_codes(session, pool.id, [code_digest(code) for code in codes], pool.uses_per_code)
    if added != count:
        raise AssertionError("two draws of 80 bits met")
    await _note_codes(session, pool, "code_pool.generated", count, now, actor)
    return codes


async def upload(session: WriteSession, pool_id: str, codes: Sequence[str], now: datetime, *, actor: str) -> int:
    """Add codes that the operator has printed already; how many are new. A known one stays in its pool.

    InvalidInputError names those that are too short, or hold other than letters and digits.
    """
    pool = await get_pool(session, pool_id)
    errors = [
        FieldError(f"/codes/{i}", "code", "12 to 64 letters and digits are expected.")
        for i, code in enumerate(codes)
        if not is_uploadable(code)
    ]
    if errors:
        raise InvalidInputError("The codes are not valid.", errors=errors[:100])
    added = await repository.add_codes(
        session, pool.id, sorted({code_digest(code) for code in codes}), pool.uses_per_code
    )
    await _note_codes(session, pool, "code_pool.uploaded", added, now, actor)
    return added


async def _note_codes(
    session: WriteSession, pool: CodePool, action: str, count: int, now: datetime, actor: str
) -> None:
    await journal.record(session, at=now, actor=actor, action=action, subject_id=pool.id, detail={"codes": count})


async def claim(session: WriteSession, member_id: str, typed: str, now: datetime, *, actor: str) -> Claimed:
    """Take one use of a code and credit what it earns.

    CodeNotValidError for every code that cannot be used by this member now, whatever the cause, after the same
    lookup; CodeEarnsNothingError where no rule gives anything, and the code stays as it was; NotFoundError for a
    member who is not active. Locks the code, then what `award` locks: of claims side by side, as many succeed as
    there are uses.
    """
    known = await members.active_members(session, [member_id], [])
    if member_id not in known.ids:
        raise NotFoundError("There is no such member.")
    digest = code_digest(typed)
    pool_id = await repository.take_use(session, digest, now)
    claimed = CodeClaim(
        id=new_id("ccl", now), digest=digest, pool_id=pool_id, member_id=member_id, tokens=0, created_at=now
    )
    if pool_id is None or not await repository.add_claim(session, claimed):
        raise CodeNotValidError("Check it and try again.")
    pool = await get_pool(session, pool_id)
    (awarded,) = await award(session, [_occasion(claimed, pool, now)], now)
    if not awarded.tokens:
        raise CodeEarnsNothingError("No rule gives anything for it at present; the code stays good.")
    await repository.set_tokens(session, claimed.id, awarded.tokens)
    detail = {"member_id": member_id, "pool_id": pool_id, "tokens": awarded.tokens}
    await journal.record(session, at=now, actor=actor, action="code.claimed", subject_id=claimed.id, detail=detail)
    await outbox.publish(session, [Event("code.claimed", claimed.id, detail)], now)
    return Claimed(claimed.id, member_id, pool, awarded.tokens, awarded.entry_ids)


def _occasion(claimed: CodeClaim, pool: CodePool, now: datetime) -> Occasion:
    attributes = {name: value for name, value in pool.attributes.items() if isinstance(value, str | int | bool)}
    attributes["pool"] = pool.external_id
    if pool.object_reference is not None:
        attributes["object"] = pool.object_reference
    return Occasion(
        trigger="code",
        occurred_at=now,
        member=MemberFacts(claimed.member_id),
        source_id=claimed.id,
        source_reference=pool.external_id,
        partner_id=pool.partner_id,
        attributes=attributes,
        rule_external_id=pool.campaign,
    )
