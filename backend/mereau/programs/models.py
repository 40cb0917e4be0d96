"""The one programme of an installation (ADR 0002) and its settings."""

from typing import Any

from sqlalchemy import CheckConstraint, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, IdKey
from mereau.core.db import Base


class Program(Base):
    """One row. Both languages are always there: French first, English beside it.

    A delay and a life in days have columns of their own; `activation_rule` and `expiry_rule` hold every other
    policy, and where one stands its column says nothing. `notice_days` are those before an expiry on which it
    is announced; `adjustment_limits` null is the default of all of them.
    """

    __tablename__ = "programs"
    __table_args__ = (
        CheckConstraint("return_policy in ('clamp', 'debt')", name="return_policy"),
        CheckConstraint("activation_delay_s >= 0", name="activation_delay"),
        CheckConstraint("activation_rule is null or activation_delay_s = 0", name="one_activation"),
        CheckConstraint("expiry_rule is null or token_life_days is null", name="one_expiry"),
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
    activation_rule: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    expiry_rule: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    adjustment_limits: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    notice_days: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")
    return_policy: Mapped[str]
    created_at: Mapped[CreatedAt]
