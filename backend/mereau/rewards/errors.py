"""Why a reward cannot be had or a voucher cannot be used: one stable code each."""

from datetime import datetime

from mereau.core.errors import ConflictError


class OutOfStockError(ConflictError):
    """The last piece is taken."""

    code, title = "out_of_stock", "Out of stock"


class RewardInactiveError(ConflictError):
    """The reward is not offered at present."""

    code, title = "inactive", "The reward is not offered"


class NotYetError(ConflictError):
    """The reward can be had later."""

    code, title = "not_yet", "The reward is not to be had yet"


class EndedError(ConflictError):
    """The reward could be had before."""

    code, title = "ended", "The offer is over"


class WrongTierError(ConflictError):
    """The reward is for members of other tiers."""

    code, title = "wrong_tier", "Reserved for other tiers"


class NotInAudienceError(ConflictError):
    """The reward is for other members, places or channels."""

    code, title = "not_in_audience", "Reserved for others"


class LimitReachedError(ConflictError):
    """The member, or all of them, had as many pieces as the reward's limit allows."""

    code, title = "limit_reached", "The limit is reached"


class NotBoughtError(ConflictError):
    """Tokens do not buy what the reward stands for."""

    code, title = "not_bought", "Tokens do not buy this"


class RewardChangedError(ConflictError):
    """The reward was changed while it was being redeemed; its new terms may be another decision."""

    code, title = "reward_changed", "The reward has just changed"


class RedeemedOtherwiseError(ConflictError):
    """The member's reference is taken by a redemption of another reward."""

    code, title = "redeemed_otherwise", "Redeemed with other content"


class NotCancellableError(ConflictError):
    """The redemption is past the point where it can be taken back."""

    code, title = "not_cancellable", "The redemption can no longer be cancelled"


class NotRefundableError(ConflictError):
    """The redemption cannot be undone: it is used, over, or of a kind whose worth cannot be called back."""

    code, title = "not_refundable", "The redemption cannot be refunded"


class VoucherNotGrantedError(ConflictError):
    """The tokens are not yet burned for good, or never will be: there is no voucher."""

    code, title = "voucher_not_granted", "The voucher is not granted"


class VoucherUsedError(ConflictError):
    """The voucher was used before; `used_at` says when."""

    code, title = "voucher_used", "The voucher is already used"

    def __init__(self, used_at: datetime) -> None:
        super().__init__(f"The voucher was used at {used_at.isoformat()}.")
        self.used_at = used_at


class VoucherExpiredError(ConflictError):
    """The voucher's time is over."""

    code, title = "voucher_expired", "The voucher has expired"
