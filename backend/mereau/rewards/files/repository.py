"""SQL of files."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.files.models import RewardFile

Session = ReadSession | WriteSession


async def add(session: WriteSession, digest: str, media_type: str, content: bytes) -> bool:
    """Keep a file; False where it is there."""
    values = {"digest": digest, "media_type": media_type, "size_bytes": len(content), "content": content}
    statement = insert(RewardFile).values(values).on_conflict_do_nothing().returning(RewardFile.digest)
    return await session.scalar(statement) is not None


async def content(session: Session, digest: str) -> tuple[str, bytes] | None:
    """(media type, content)."""
    row = (
        await session.execute(select(RewardFile.media_type, RewardFile.content).where(RewardFile.digest == digest))
    ).one_or_none()
    return None if row is None else (row[0], row[1])


async def media_types(session: Session, digests: Collection[str]) -> dict[str, str]:
    """Digest -> media type of those that are there."""
    known = select(RewardFile.digest, RewardFile.media_type).where(RewardFile.digest == func.any(sorted(digests)))
    return {row.digest: row.media_type for row in await session.execute(known)}
