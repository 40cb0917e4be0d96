"""Links that work once."""

from datetime import datetime

from sqlalchemy import DateTime, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, Instant
from mereau.core.db import Base


class DownloadLink(Base):
    """One link of a redemption; only the SHA-256 of its token stands here, so a copy of the table opens nothing."""

    __tablename__ = "download_links"
    __table_args__ = (Index("ix_download_links_redemption_id", "redemption_id"),)

    token_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    redemption_id: Mapped[Id] = mapped_column(ForeignKey("redemptions.id"))
    expires_at: Mapped[Instant]
    followed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]
