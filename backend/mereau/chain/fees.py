"""What gas costs: the market's price, a cap above which nothing is paid, and bumps that nodes accept."""

from dataclasses import dataclass
from typing import Final

from mereau.chain.errors import RpcError
from mereau.chain.rpc import RpcClient, quantity
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


async def market_fees(rpc: RpcClient, policy: FeePolicy) -> Fees:
    """Twice the next block's base fee plus the usual tip (six full blocks of rises are covered), capped."""
    history, tip = await rpc.batch_outcomes(
        [("eth_feeHistory", (quantity(1), "latest", ())), ("eth_maxPriorityFeePerGas", ())]
    )
    if isinstance(history, RpcError):
        raise history
    tip_wei = policy.tip_default_wei if isinstance(tip, RpcError) else int(tip, 16)
    return capped(2 * int(history["baseFeePerGas"][-1], 16) + tip_wei, tip_wei, policy)


def capped(fee_wei: int, tip_wei: int, policy: FeePolicy) -> Fees:
    """Fees within the policy; the tip never exceeds the whole."""
    fee = min(fee_wei, policy.fee_max_wei)
    return Fees(fee, min(tip_wei, fee))


def bumped(previous: Fees, market: Fees, policy: FeePolicy) -> Fees | None:
    """Fees that replace `previous`: an eighth more on both, or the market's; None where the cap forbids it."""
    fee = max(_raised(previous.max_fee_per_gas_wei), market.max_fee_per_gas_wei)
    tip = max(_raised(previous.max_priority_fee_per_gas_wei), market.max_priority_fee_per_gas_wei)
    if max(fee, tip) > policy.fee_max_wei:
        # The market may lie beyond the cap while the least bump is within it.
        fee = _raised(previous.max_fee_per_gas_wei)
        tip = _raised(previous.max_priority_fee_per_gas_wei)
    return Fees(max(fee, tip), tip) if max(fee, tip) <= policy.fee_max_wei else None


def _raised(wei: int) -> int:
    return max(-(-wei * _BUMP_NUMERATOR // _BUMP_DENOMINATOR), wei + 1)
