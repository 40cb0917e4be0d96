"""What a reverted simulation means for the orders behind it. Pure.

A culprit is an order without which the others would pass. Some reverts blame no order (the token is paused, the
line has not come so far): then the whole group waits.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from mereau.chain.contract import Revert
from mereau.chain.orders import OrderKind
from mereau.chain.sealing import Group, QueuedOrder


class Blame(Enum):
    """Where the fault lies."""

    NOBODY = auto()
    ORDERS = auto()
    UNCLEAR = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`culprits` is filled where `blame` is ORDERS; UNCLEAR asks for a search by simulation."""

    blame: Blame
    culprits: tuple[QueuedOrder, ...] = ()


# Neither a pause nor a line that is elsewhere nor a rotated key is any order's fault.
_WAIT: Final = frozenset({"EnforcedPause", "LoyaltySequence", "LoyaltyPartnerUnknown"})
_TOTALS: Final = frozenset({"LoyaltyAllowance", "LoyaltyPeriodCap", "LoyaltyReversal", "LoyaltySupply"})
_WALLET_ARGUMENT: Final = {
    "LoyaltyAmount": "member",
    "LoyaltyProtected": "member",
    "LoyaltyNonce": "member",
    "LoyaltySignature": "signer",
    "ERC20InsufficientBalance": "sender",
    "ERC20InvalidReceiver": "receiver",
    "ERC20InvalidSender": "sender",
}

# What work that is still in flight may put right.
_CURABLE: Final = frozenset(
    {
        "ERC20InsufficientBalance",
        "LoyaltyAllowance",
        "LoyaltyNonce",
        "LoyaltyPartnerInactive",
        "LoyaltyReversal",
        "AccessControlUnauthorizedAccount",
    }
)


def judge(group: Group, revert: Revert) -> Verdict:
    """Whom the revert of this group's simulation blames."""
    if revert.name in _WAIT or (revert.name == "LoyaltySignature" and group.kind is not OrderKind.REDEEM):
        return Verdict(Blame.NOBODY)
    if revert.name == "AccessControlUnauthorizedAccount" and group.kind is not OrderKind.ADMIN:
        return Verdict(Blame.NOBODY)
    if len(group.orders) == 1:
        return Verdict(Blame.ORDERS, group.orders)
    if revert.name == "LoyaltyPartnerInactive":
        culprits = tuple(order for order in group.orders if order.partner_number == revert.args["partner"])
        return Verdict(Blame.ORDERS, culprits) if culprits else Verdict(Blame.UNCLEAR)
    if revert.name in _TOTALS:
        return Verdict(Blame.ORDERS, _beyond(group, revert.args["left"]))
    return _by_wallet(group, revert)


def _by_wallet(group: Group, revert: Revert) -> Verdict:
    argument = _WALLET_ARGUMENT.get(revert.name)
    if argument is not None:
        wallet = bytes.fromhex(revert.args[argument][2:])
        suspects = tuple(order for order in group.orders if order.wallet == wallet)
        # Of several orders for one wallet only a search tells which one goes too far.
        if len(suspects) == 1:
            return Verdict(Blame.ORDERS, suspects)
    return Verdict(Blame.UNCLEAR)


def _beyond(group: Group, left: int) -> tuple[QueuedOrder, ...]:
    """The orders that do not fit any more when they are served in queue order."""
    culprits = []
    for order in group.orders:
        if order.tokens > left:
            culprits.append(order)
        else:
            left -= order.tokens
    return tuple(culprits)


def curable(revert: Revert) -> bool:
    """Whether batches in flight may still turn this revert into a success."""
    return revert.name in _CURABLE
