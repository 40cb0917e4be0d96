"""What the ledger refuses."""

from mereau.core.errors import ConflictError, UnavailableError


class InsufficientBalanceError(ConflictError):
    """The member cannot spend so much; `missing_tokens` says by how much."""

    code, title = "insufficient_balance", "Not enough tokens"

    def __init__(self, missing_tokens: int) -> None:
        super().__init__(f"The member lacks {missing_tokens} tokens.")
        self.missing_tokens = missing_tokens


class MemberInactiveError(ConflictError):
    """The member is blocked or deleted and may not spend."""

    code, title = "member_inactive", "The member may not redeem"


class RedemptionsFrozenError(UnavailableError):
    """The mirror is not sure of the chain; nobody redeems until an operator has looked."""

    code, title = "redemptions_frozen", "Redemptions are suspended"


class HoldSettledError(ConflictError):
    """The redemption is on its way to the chain, or over: its hold can no longer be voided."""

    code, title = "hold_settled", "The redemption can no longer be stopped"
