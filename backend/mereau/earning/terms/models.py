"""One row of terms; the defaults hold while there is none."""

from sqlalchemy import CheckConstraint, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import AmountMinor
from mereau.core.db import Base


class EarningTerms(Base):
    """See `domain.Terms`."""

    __tablename__ = "earning_terms"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    win_back_after_days: Mapped[int]
    claim_within_days: Mapped[int]
    referral_minimum_minor: Mapped[AmountMinor]
    referral_within_days: Mapped[int]
    referral_return_days: Mapped[int]
    referral_cap: Mapped[int]
    referral_cap_period: Mapped[str]
    referral_link_base: Mapped[str | None]
