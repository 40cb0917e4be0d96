"""SQL of links. Lock order: the redemption, then its links."""

from datetime import datetime

from sqlalchemy import delete, func, select, update

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.downloads.models import DownloadLink

Session = ReadSession | WriteSession


async def followed(session: Session, redemption_id: str) -> int:
    """How many links of a redemption were followed."""
    count = select(func.count()).select_from(DownloadLink)
    return (
        await session.scalar(
            count.where(DownloadLink.redemption_id == redemption_id, DownloadLink.followed_at.is_not(None))
        )
        or 0
    )


async def replace_open(
    session: WriteSession, redemption_id: str, digest: bytes, expires_at: datetime, now: datetime
) -> None:
    """The one open link of a redemption, in the place of any that was not followed."""
    await session.execute(
        delete(DownloadLink).where(DownloadLink.redemption_id == redemption_id, DownloadLink.followed_at.is_(None))
    )
    session.add(DownloadLink(token_digest=digest, redemption_id=redemption_id, expires_at=expires_at, created_at=now))
    await session.flush()


async def redemption_of(session: Session, digest: bytes) -> str | None:
    """The redemption of a link, whatever became of it."""
    return await session.scalar(select(DownloadLink.redemption_id).where(DownloadLink.token_digest == digest))


async def follow(session: WriteSession, digest: bytes, now: datetime) -> bool:
    """Use a link up; False where it is used or too old."""
    used_up = (
        update(DownloadLink)
        .where(DownloadLink.token_digest == digest, DownloadLink.followed_at.is_(None), DownloadLink.expires_at > now)
        .values(followed_at=now)
        .returning(DownloadLink.token_digest)
    )
    return await session.scalar(used_up) is not None
