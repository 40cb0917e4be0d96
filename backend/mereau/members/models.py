"""Members. Personal fields live here and nowhere else."""

from sqlalchemy import CheckConstraint, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey
from mereau.core.db import Base


class Member(Base):
    """`external_id` is the caller's own number for the member, unique in the programme."""

    __tablename__ = "members"
    __table_args__ = (CheckConstraint("status in ('active', 'blocked', 'deleted')", name="status"),)

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    display_name: Mapped[str | None]
    email: Mapped[str | None]
    locale: Mapped[str]
    status: Mapped[str]
    enrolled_by_partner_id: Mapped[Id | None] = mapped_column(ForeignKey("partners.id"))
    created_at: Mapped[CreatedAt]
