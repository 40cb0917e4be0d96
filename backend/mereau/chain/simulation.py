"""What would a call do? One eth_estimateGas answers: its gas, or why it reverts."""

from dataclasses import dataclass
from typing import Final

from mereau.chain.contract import Revert, decode_revert
from mereau.chain.errors import ExecutionRevertedError, GasExceededError
from mereau.chain.rpc import RpcClient, quantity

TRANSACTION_GAS_MAX: Final = 16_777_216
"""No transaction may carry more (EIP-7825); development chains accept it and so prove nothing."""


@dataclass(frozen=True, slots=True)
class Gas:
    """The call passes within `limit`, which has room for what other transactions may change before it."""

    limit: int


class TooLarge:
    """The call needs more gas than one transaction may have."""


async def simulate(
    rpc: RpcClient, *, sender: bytes, target: bytes, data: bytes, gas_max: int
) -> Gas | Revert | TooLarge:
    """Run the call on what the node expects the next block to begin with.

    `pending` is the state after the transactions in flight on nodes that keep one, else that of the head.
    """
    request = {"from": sender, "to": target, "data": data, "gas": quantity(gas_max)}
    try:
        gas = int(await rpc.call("eth_estimateGas", request, "pending"), 16)
    except ExecutionRevertedError as error:
        return decode_revert(error.data)
    except GasExceededError:
        return TooLarge()
    return TooLarge() if gas > gas_max else Gas(min(gas + gas // 10, gas_max))
