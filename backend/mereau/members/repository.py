"""SQL of members."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, text

from mereau.core.db import ReadSession, WriteSession
from mereau.members.domain import MemberDraft
from mereau.members.identity.domain import email_key
from mereau.members.models import Member

# Sorted by the unique key, so that two bulk enrolments of the same people wait instead of deadlocking.
_ENROL = text("""
    insert into members
        (id, external_id, display_name, email, email_key, phone, device_digest, locale, birth_date, birth_date_set_at,
         status, enrolled_by_partner_id, created_at)
    select id, external_id, display_name, email, email_key, phone, device_digest, locale, birth_date,
           case when birth_date is null then null else cast(:now as timestamptz) end, 'active', partner_id, :now
    from unnest(
        cast(:ids as text[]), cast(:external_ids as text[]), cast(:display_names as text[]),
        cast(:emails as text[]), cast(:email_keys as text[]), cast(:phones as text[]),
        cast(:device_digests as bytea[]), cast(:locales as text[]), cast(:birth_dates as date[]),
        cast(:partner_ids as text[])
    ) as draft (id, external_id, display_name, email, email_key, phone, device_digest, locale, birth_date, partner_id)
    order by external_id
    on conflict (external_id) do nothing
    returning id, external_id
""")


async def insert_missing(
    session: WriteSession, drafts: Sequence[tuple[str, MemberDraft]], now: datetime
) -> dict[str, str]:
    """Insert drafts under the ids beside them where the external id is new; new ones as external id -> id."""
    rows = await session.execute(
        _ENROL,
        {
            "ids": [id_ for id_, _ in drafts],
            "external_ids": [draft.external_id for _, draft in drafts],
            "display_names": [draft.display_name for _, draft in drafts],
            "emails": [draft.email for _, draft in drafts],
            "email_keys": [None if draft.email is None else email_key(draft.email) for _, draft in drafts],
            "phones": [draft.phone for _, draft in drafts],
            "device_digests": [draft.device_digest for _, draft in drafts],
            "locales": [draft.locale for _, draft in drafts],
            "birth_dates": [draft.birth_date for _, draft in drafts],
            "partner_ids": [draft.enrolled_by_partner_id for _, draft in drafts],
            "now": now,
        },
    )
    return {external_id: id_ for id_, external_id in rows}


async def ids_by_external_id(session: ReadSession | WriteSession, external_ids: Sequence[str]) -> dict[str, str]:
    rows = await session.execute(
        select(Member.external_id, Member.id).where(Member.external_id == func.any(list(external_ids)))
    )
    return {row.external_id: row.id for row in rows}


async def by_ids(session: ReadSession | WriteSession, ids: Sequence[str]) -> dict[str, Member]:
    rows = await session.scalars(select(Member).where(Member.id == func.any(list(ids))))
    return {member.id: member for member in rows}


async def by_external_id(session: ReadSession | WriteSession, external_id: str) -> Member | None:
    return await session.scalar(select(Member).where(Member.external_id == external_id))
