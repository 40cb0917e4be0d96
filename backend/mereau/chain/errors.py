"""What a node or its network can answer instead of a result, in one set of types.

    RpcUnavailableError          no usable answer: the outcome is unknown, ask again
    RpcError                     the node answered with an error object
      ExecutionRevertedError     the call ran and reverted; `data` is what the contract returned
      NonceTooLowError           the nonce is spent
      NonceTooHighError          the node refuses to queue behind a gap
      AlreadyKnownError          the node has this very transaction
      ReplacementUnderpricedError  a transaction of this nonce is there and the fees are not 10 % above it
      UnderpricedError           the fees are below what the node or the block takes
      InsufficientFundsError     the sender cannot pay for the gas
      GasExceededError           more gas than the block, the node or EIP-7825 allows
      BlockUnknownError          the node does not have the block (yet, or any more)
      LimitExceededError         the question is too large or comes too often
      MethodUnsupportedError     the node does not serve the method

Nodes agree on few codes, so that their words are matched: geth, erigon, reth, besu, nethermind, anvil and
py-evm.
"""

from typing import Any, Final

from mereau.core.errors import MereauError, UnavailableError


class RpcUnavailableError(UnavailableError):
    """No usable answer came: refused, timed out, cut short, not JSON. What was sent may have arrived."""


class ForeignChainError(MereauError):
    """The node answers for another chain or contract than the one on record."""

    code, title = "foreign_chain", "The node serves another chain"


class RpcError(Exception):
    """The node's error object: `code`, `message` and `data` (bytes where it was a hex string)."""

    def __init__(self, code: int, message: str, data: bytes | None = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data


class ExecutionRevertedError(RpcError):
    """The call reverted; decode `data` with `contract.decode_revert`."""


class NonceTooLowError(RpcError):
    """The account's nonce is beyond this one."""


class NonceTooHighError(RpcError):
    """Earlier nonces are missing and the node will not wait for them."""


class AlreadyKnownError(RpcError):
    """The same bytes are in the node's pool already: a success for whoever sends them again."""


class ReplacementUnderpricedError(RpcError):
    """Another transaction holds the nonce, and these fees are not enough above its own."""


class UnderpricedError(RpcError):
    """The fees are below the node's or the block's least."""


class InsufficientFundsError(RpcError):
    """The sender's balance does not cover gas limit x fee."""


class GasExceededError(RpcError):
    """The gas asked for, or needed, is beyond a block, a node's cap or EIP-7825."""


class BlockUnknownError(RpcError):
    """The block is not, or no longer, on this node's chain."""


class LimitExceededError(RpcError):
    """Too many results, too wide a range, or too many requests."""


class MethodUnsupportedError(RpcError):
    """The node does not serve this method."""


_METHOD_NOT_FOUND: Final = -32601
_REVERTED: Final = 3
_BY_CODE: Final[dict[int, type[RpcError]]] = {
    _REVERTED: ExecutionRevertedError,
    -32015: ExecutionRevertedError,
    _METHOD_NOT_FOUND: MethodUnsupportedError,
    -32004: MethodUnsupportedError,
    -32005: LimitExceededError,
}

# The first match wins, so that narrower words stand before wider ones.
_BY_WORDS: Final[tuple[tuple[type[RpcError], tuple[str, ...]], ...]] = (
    (
        AlreadyKnownError,
        (
            "already known",
            "alreadyknown",
            "known transaction",
            "already imported",
            "same hash was already",
            "existing tx with same hash",
        ),
    ),
    (
        ReplacementUnderpricedError,
        (
            "replacement transaction underpriced",
            "replacementnotallowed",
            "replacement not allowed",
            "another transaction with same nonce",
            "gas price too low to replace",
            "could not replace existing tx",
            "tries to replace pending",
        ),
    ),
    (NonceTooLowError, ("nonce too low", "nonce is too low", "oldnonce", "nonce below")),
    (
        NonceTooHighError,
        (
            "nonce too high",
            "too distant from current sender nonce",
            "nonce too far in",
            "noncetoofarin",
            "noncegap",
            "nonce gap",
            "nonce is too high",
            "nonce has max",
        ),
    ),
    (
        InsufficientFundsError,
        (
            "insufficient funds",
            "insufficientfunds",
            "upfront cost exceeds",
            "exceeds account balance",
            "does not have enough balance",
            "insufficient balance for transfer",
        ),
    ),
    (
        GasExceededError,
        (
            "exceeds block gas limit",
            "exceeds the block gas limit",
            "exceeds configured cap",
            "gas limit too high",
            "gaslimitexceeded",
            "gas required exceeds",
            "gas limit is too high",
            "out of gas",
            "intrinsic gas too",
            "oversized data",
            "intrinsic gas exceeds",
            "transaction gas limit",
            "gas limit reached",
            "intrinsicgas",
            "floor data gas",
            "rlptoolong",
        ),
    ),
    (
        UnderpricedError,
        (
            "underpriced",
            "less than block base fee",
            "feetoolow",
            "fee too low",
            "gas price below",
            "gas price is too low",
            "max fee per gas less",
            "max priority fee per gas below",
        ),
    ),
    (ExecutionRevertedError, ("execution reverted", "vm execution error", "revert")),
    (
        BlockUnknownError,
        (
            "header not found",
            "unknown block",
            "block not found",
            "header for hash not found",
            "not currently canonical",
            "blockoutofrange",
            "block out of range",
            "missing trie node",
            "historical state",
            "no state available",
            "world state unavailable",
        ),
    ),
    (
        LimitExceededError,
        (
            "query returned more than",
            "range is too large",
            "range too large",
            "exceeds max results",
            "exceed maximum block range",
            "block range",
            "limit exceeded",
            "too many requests",
            "rate limit",
            "response size exceeded",
            "pool is full",
        ),
    ),
    (MethodUnsupportedError, ("method not found", "not supported", "unsupported method", "does not exist")),
)


def rpc_error(error: object) -> RpcError:
    """The typed error for the `error` member of a JSON-RPC answer (JSON-RPC 2.0, section 5.1)."""
    if not isinstance(error, dict):
        return RpcError(0, f"malformed error object: {error!r}")
    code = error.get("code")
    code = code if isinstance(code, int) else 0
    message = str(error.get("message", ""))
    data = _revert_data(error.get("data"))
    return _error_type(code, message, data)(code, message, data)


def _error_type(code: int, message: str, data: bytes | None) -> type[RpcError]:
    words = message.lower()
    for kind, spellings in _BY_WORDS:
        if any(spelling in words for spelling in spellings):
            # A node's revert may quote the contract's own words; its code is the better witness.
            return ExecutionRevertedError if code == _REVERTED and kind is not GasExceededError else kind
    if code in _BY_CODE:
        return _BY_CODE[code]
    return ExecutionRevertedError if data else RpcError


def _revert_data(data: Any) -> bytes | None:
    """Reverted bytes from a hex string, from nethermind's `Reverted 0x...`, or from a nested object."""
    if isinstance(data, dict):
        data = data.get("data", data.get("result"))
    if not isinstance(data, str):
        return None
    _, prefix, digits = data.rpartition("0x")
    try:
        return bytes.fromhex(digits) if prefix else None
    except ValueError:
        return None
