"""Uploaded files, each once."""

from sqlalchemy import CheckConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt
from mereau.core.db import Base


class RewardFile(Base):
    """A file under the SHA-256 of its content, in hex. It never changes."""

    __tablename__ = "reward_files"
    __table_args__ = (CheckConstraint("size_bytes = octet_length(content)", name="size_bytes"),)

    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    media_type: Mapped[str]
    size_bytes: Mapped[int]
    content: Mapped[Bytes]
    created_at: Mapped[CreatedAt]
