"""The one programme of an installation (ADR 0002) and its settings."""

from sqlalchemy import CheckConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, IdKey
from mereau.core.db import Base


class Program(Base):
    """One row. Both languages are always there: French first, English beside it."""

    __tablename__ = "programs"
    __table_args__ = (
        CheckConstraint("return_policy in ('clamp', 'debt')", name="return_policy"),
        CheckConstraint("activation_delay_s >= 0", name="activation_delay"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name_fr: Mapped[str]
    name_en: Mapped[str]
    token_name: Mapped[str]
    token_symbol: Mapped[str]
    currency: Mapped[str]
    time_zone: Mapped[str]
    activation_delay_s: Mapped[int]
    token_life_days: Mapped[int | None]
    return_policy: Mapped[str]
    created_at: Mapped[CreatedAt]
