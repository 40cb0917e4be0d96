"""What would a call do? An eth_estimateGas answers: its gas, or why it reverts."""

from dataclasses import dataclass
from typing import Final

from mereau.chain.contract import Revert, decode_revert
from mereau.chain.errors import ExecutionRevertedError, GasExceededError, RpcError
from mereau.chain.rpc import RpcClient, quantity

_MARGIN_DIVISOR: Final = 10


@dataclass(frozen=True, slots=True)
class GasPolicy:
    """The most gas of one transaction.

    `transaction_gas_max`: no transaction may carry more on Ethereum (EIP-7825), and development chains that take
    it prove nothing; other chains have other caps. `block_percent_max`: a share of the block's gas limit, for a
    transaction that asks for a whole block waits for an empty one.
    """

    transaction_gas_max: int = 16_777_216
    block_percent_max: int = 50

    def gas_max(self, block_gas_limit: int) -> int:
        """What binds where a block takes `block_gas_limit`."""
        return min(self.transaction_gas_max, block_gas_limit * self.block_percent_max // 100)


@dataclass(frozen=True, slots=True)
class Gas:
    """The call passes with `used`, and within `limit`, which has room for what others may change before it."""

    used: int
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
    return TooLarge() if gas > gas_max else with_margin(gas, gas_max)


async def confirm(rpc: RpcClient, *, sender: bytes, target: bytes, data: bytes, gas: int, gas_max: int) -> Gas | None:
    """The gas that the call is expected to need, where it passes with it; None says nothing.

    One execution, where nodes search for an estimate by many: up to seventeen were counted.
    """
    request = {"from": sender, "to": target, "data": data, "gas": quantity(gas)}
    try:
        await rpc.call("eth_call", request, "pending")
    except RpcError:
        return None
    return with_margin(gas, gas_max)


def with_margin(gas: int, gas_max: int) -> Gas:
    """A tenth more, as far as `gas_max` lets: what is not used is not paid."""
    return Gas(gas, min(gas + gas // _MARGIN_DIVISOR, gas_max))
