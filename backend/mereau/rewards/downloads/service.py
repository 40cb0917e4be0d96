"""Downloading what was redeemed: a link is asked for, and followed once.

The first download uses the redemption, so that nobody has both the file and their tokens.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from mereau.auth.domain import Reach
from mereau.core.db import WriteSession
from mereau.core.errors import NotFoundError
from mereau.rewards import repository as redemptions
from mereau.rewards.downloads import domain, repository
from mereau.rewards.downloads.errors import DownloadsUsedError, NotDownloadableError
from mereau.rewards.files import repository as files
from mereau.rewards.files.domain import SUFFIXES
from mereau.rewards.vouchers.service import mark_used


@dataclass(frozen=True, slots=True)
class Link:
    """A link and the one time that its token is shown; `downloads_left` counts it."""

    token: str
    expires_at: datetime
    downloads_left: int


@dataclass(frozen=True, slots=True)
class Download:
    """A file on its way."""

    name: str
    media_type: str
    content: bytes


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def make_link(session: WriteSession, redemption_id: str, now: datetime, *, reach: Reach) -> Link:
    """A new link of 192 random bits, in the place of one that was not followed. Locks the redemption.

    NotFoundError where there is no such redemption in reach; NotDownloadableError, DownloadsUsedError.
    """
    redemption = await redemptions.redemption(
        session, redemption_id=redemption_id, member_id=reach.member_id, partner_id=reach.partner_id, lock=True
    )
    if redemption is None:
        raise NotFoundError("There is no such redemption.")
    if redemption.kind != "digital":
        raise NotDownloadableError("The reward is no digital content.")
    if reason := domain.refusal(redemption.state, redemption.voucher_expires_at, now):
        raise NotDownloadableError(reason)
    terms = domain.terms_of(redemption.promise)
    left = terms.downloads_max - await repository.followed(session, redemption.id)
    if left <= 0:
        raise DownloadsUsedError(f"All {terms.downloads_max} downloads are used.")
    link = Link(secrets.token_urlsafe(domain.TOKEN_BYTES), now + timedelta(seconds=terms.link_life_s), left)
    await repository.replace_open(session, redemption.id, _digest(link.token), link.expires_at, now)
    return link


async def follow(session: WriteSession, token: str, now: datetime) -> Download | None:
    """Use a link up, and the redemption with the first one; None for every link that leads nowhere.

    Locks the redemption: of two who follow one link, one downloads; a refund comes before the download or never.
    """
    digest = _digest(token)
    redemption_id = await repository.redemption_of(session, digest)
    if redemption_id is None:
        return None
    redemption = await redemptions.redemption(session, redemption_id=redemption_id, lock=True)
    if redemption is None or domain.refusal(redemption.state, redemption.voucher_expires_at, now):
        return None
    if not await repository.follow(session, digest, now):
        return None
    found = await files.content(session, domain.terms_of(redemption.promise).content)
    if found is None:
        raise RuntimeError(f"the file of redemption {redemption.id} is gone")
    if redemption.state == "granted":
        await mark_used(session, redemption, now, actor=f"member:{redemption.member_id}")
    media_type, content = found
    return Download(f"{redemption.id}.{SUFFIXES[media_type]}", media_type, content)
