"""What holds for win-back, claimed receipts and referrals in the whole programme. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

CapPeriod = Literal["month", "quarter", "year"]


@dataclass(frozen=True, slots=True)
class Terms:
    """`win_back_after_days` without a purchase are a lapse; a receipt can be claimed for `claim_within_days`.

    A friend qualifies a referral by one purchase of at least `referral_minimum_minor`, within `referral_within_days`
    of joining. Bringing it back within `referral_return_days` takes both sides' tokens back. A referrer is credited
    for `referral_cap` friends a period of the programme's calendar; `referral_link_base` is what a code is put behind.
    """

    win_back_after_days: int = 60
    claim_within_days: int = 30
    referral_minimum_minor: int = 0
    referral_within_days: int = 90
    referral_return_days: int = 30
    referral_cap: int = 10
    referral_cap_period: CapPeriod = "month"
    referral_link_base: str | None = None


DEFAULT_TERMS: Final = Terms()
