"""The methods that run the EVM: calls, estimates, sending, and the clock of development chains."""

from typing import Any

from mereau.chain.embedded import params
from mereau.chain.embedded.blocks import BLOCK_GAS_LIMIT, TRANSACTION_GAS_LIMIT
from mereau.chain.embedded.building import check_start
from mereau.chain.embedded.chain import EmbeddedChain
from mereau.chain.embedded.encoding import hexed
from mereau.chain.embedded.errors import ChainError, RevertedError
from mereau.chain.embedded.evm import Outcome
from mereau.chain.embedded.registry import Lane, Registry
from mereau.chain.embedded.selection import header_of
from mereau.chain.embedded.transactions import Transaction

# Gas beyond what the one run took: 1/64 for the share that EIP-150 keeps back from a nested call, and some
# for slots that another transaction may turn cold or empty before this one is mined.
MARGIN_DIVISOR = 64
MARGIN_GAS = 5_000
TIME_STEP_MAX_S = 10 * 365 * 86_400

_ERROR_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)

registry = Registry()
method = registry.method


@method("eth_call")
def call(chain: EmbeddedChain, request: Any, block: Any = "latest") -> str:
    transaction = _startable(request, gas=BLOCK_GAS_LIMIT)
    outcome = chain.call(header_of(chain, block), transaction)
    _raise_if_failed(outcome)
    return hexed(outcome.output)


@method("eth_estimateGas", Lane.EXECUTE)
def estimate_gas(chain: EmbeddedChain, request: Any, block: Any = "latest") -> str:
    """The gas of one run on the head at the cap, before refunds, and a margin; never above the cap.

    There is no search for the least sufficient limit: unused gas is given back, and a relayer pays for each
    simulation in time.
    """
    header_of(chain, block)
    transaction = _startable(request, gas=TRANSACTION_GAS_LIMIT)
    outcome = chain.estimate(transaction)
    if outcome.exhausted:
        raise ChainError(f"gas required exceeds allowance ({transaction.gas})")
    _raise_if_failed(outcome)
    plain = not transaction.data and outcome.gas_peak == transaction.intrinsic_gas
    margin = 0 if plain else outcome.gas_peak // MARGIN_DIVISOR + MARGIN_GAS
    return hex(min(outcome.gas_peak + margin, transaction.gas))


@method("eth_sendRawTransaction", Lane.SUBMIT)
def send_raw_transaction(chain: EmbeddedChain, raw: Any) -> bytes:
    """The bytes to submit: mining answers the hash, for all that arrived together."""
    return params.data(raw)


@method("evm_increaseTime", Lane.EXECUTE, development=True)
def increase_time(chain: EmbeddedChain, seconds: Any) -> int:
    step = seconds if isinstance(seconds, int) and not isinstance(seconds, bool) else params.quantity(seconds)
    if not 0 <= step <= TIME_STEP_MAX_S:
        raise ChainError(f"the clock moves forward by at most {TIME_STEP_MAX_S} seconds")
    return chain.increase_time(step)


@method("evm_mine", Lane.EXECUTE, development=True)
def mine(chain: EmbeddedChain) -> str:
    chain.mine_empty()
    return "0x0"


def _startable(request: Any, *, gas: int) -> Transaction:
    transaction = params.transaction(request, gas=gas)
    check_start(transaction)
    return transaction


def _raise_if_failed(outcome: Outcome) -> None:
    if outcome.reverted:
        reason = _revert_reason(outcome.output)
        raise RevertedError(
            f"execution reverted: {reason}" if reason else "execution reverted", data=hexed(outcome.output)
        )
    if not outcome.succeeded:
        raise ChainError(f"out of gas: {outcome.reason}" if outcome.exhausted else outcome.reason)


def _revert_reason(output: bytes) -> str:
    if not output.startswith(_ERROR_SELECTOR):
        return ""
    length = int.from_bytes(output[36:68], "big")
    return output[68 : 68 + length].decode("utf-8", "replace") if length <= len(output) else ""
