"""Partner merchants, their locations and staff."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey, Tokens
from mereau.core.db import Base


class Partner(Base):
    """`number` is the partner's id in the contract. Limits are what was asked for; the chain decides.

    `allowance_tokens` is the ceiling on tokens issued less reversed; `period_cap_tokens` what one cap period
    may issue. None means without limit.
    """

    __tablename__ = "partners"
    __table_args__ = (CheckConstraint("status in ('active', 'inactive')", name="status"),)

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    number: Mapped[int] = mapped_column(BigInteger, unique=True)
    name: Mapped[str]
    status: Mapped[str]
    allowance_tokens: Mapped[Tokens | None]
    period_cap_tokens: Mapped[Tokens | None]
    created_at: Mapped[CreatedAt]


class Location(Base):
    """A place of business of a partner."""

    __tablename__ = "locations"
    __table_args__ = (UniqueConstraint("partner_id", "external_id"),)

    id: Mapped[IdKey]
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    external_id: Mapped[str]
    name: Mapped[str]
    created_at: Mapped[CreatedAt]


class Staff(Base):
    """A person who works for a partner; every entry that they cause names them."""

    __tablename__ = "staff"
    __table_args__ = (
        UniqueConstraint("partner_id", "external_id"),
        CheckConstraint("status in ('active', 'inactive')", name="status"),
    )

    id: Mapped[IdKey]
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    location_id: Mapped[Id | None] = mapped_column(ForeignKey("locations.id"))
    external_id: Mapped[str]
    display_name: Mapped[str]
    status: Mapped[str]
    created_at: Mapped[CreatedAt]
