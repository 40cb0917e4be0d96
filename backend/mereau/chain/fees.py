"""What gas costs: the market's price, a cap above which nothing is paid, and bumps that nodes accept."""

from dataclasses import dataclass, replace
from typing import Final

from mereau.chain.errors import RpcError
from mereau.chain.rpc import RpcClient, shown
from mereau.chain.transactions import Fees

GWEI: Final = 10**9

# geth wants 10 % on both fees, others 12.5 %.
_BUMP_NUMERATOR: Final = 9
_BUMP_DENOMINATOR: Final = 8


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """`fee_max_wei` caps what one gas may cost; at the cap a transaction waits for the market to come down.

    `tip_default_wei` serves chains that do not say which tip is usual.
    """

    fee_max_wei: int = 500 * GWEI
    tip_default_wei: int = GWEI


@dataclass(frozen=True, slots=True)
class Market:
    """`fees` are what a new transaction offers, within the cap; `price_wei` is what one gas costs right now."""

    fees: Fees
    price_wei: int

    def exceeds(self, policy: FeePolicy) -> bool:
        """Whether no block would take what the cap allows."""
        return self.price_wei > policy.fee_max_wei


async def market(rpc: RpcClient, policy: FeePolicy) -> Market:
    """What the chain asks for; its head's base fee decides which type of transaction it takes.

    With one, twice the base fee plus the usual tip, which covers five full blocks of rises (EIP-1559); a chain
    without one gets legacy transactions at the node's gas price.
    """
    head, tip, gas_price = await rpc.batch_outcomes(
        [("eth_getBlockByNumber", ("latest", False)), ("eth_maxPriorityFeePerGas", ()), ("eth_gasPrice", ())]
    )
    if isinstance(head, RpcError):
        raise head
    base_fee = shown(head, "head").get("baseFeePerGas")
    if base_fee is None:
        if isinstance(gas_price, RpcError):
            raise gas_price
        price = int(gas_price, 16)
        return Market(replace(capped(price, price, policy), legacy=True), price)
    base_fee_wei = int(base_fee, 16)
    tip_wei = policy.tip_default_wei if isinstance(tip, RpcError) else int(tip, 16)
    return Market(capped(2 * base_fee_wei + tip_wei, tip_wei, policy), base_fee_wei + tip_wei)


def capped(fee_wei: int, tip_wei: int, policy: FeePolicy) -> Fees:
    """Fees within the policy; the tip never exceeds the whole."""
    fee = min(fee_wei, policy.fee_max_wei)
    return Fees(fee, min(tip_wei, fee))


def bumped(previous: Fees, offered: Fees, policy: FeePolicy) -> Fees | None:
    """Fees that replace `previous`: an eighth more on both, or what is `offered` now; None where the cap forbids it.

    The type of the transaction stays, so that a legacy one's two fees, being one price, rise together.
    """
    fee = max(_raised(previous.max_fee_per_gas_wei), offered.max_fee_per_gas_wei)
    tip = max(_raised(previous.max_priority_fee_per_gas_wei), offered.max_priority_fee_per_gas_wei)
    if max(fee, tip) > policy.fee_max_wei:
        # The market may lie beyond the cap while the least bump is within it.
        fee = _raised(previous.max_fee_per_gas_wei)
        tip = _raised(previous.max_priority_fee_per_gas_wei)
    fee = max(fee, tip)
    if fee > policy.fee_max_wei:
        return None
    return replace(previous, max_fee_per_gas_wei=fee, max_priority_fee_per_gas_wei=fee if previous.legacy else tip)


def _raised(wei: int) -> int:
    return max(-(-wei * _BUMP_NUMERATOR // _BUMP_DENOMINATOR), wei + 1)
