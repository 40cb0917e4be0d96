"""What the chain answers when it refuses: JSON-RPC codes, and geth's words where clients match on them."""


class ChainError(Exception):
    """A refusal with its JSON-RPC code; `data` goes to `error.data`."""

    code = -32000

    def __init__(self, message: str, *, data: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class InvalidTransactionError(ChainError):
    """A transaction that this chain will not take; the message begins with geth's words for the reason."""


class InvalidParamsError(ChainError):
    code = -32602


class InvalidRequestError(ChainError):
    code = -32600


class ParseError(ChainError):
    code = -32700


class MethodNotFoundError(ChainError):
    code = -32601


class LimitExceededError(ChainError):
    """More was asked for than one answer may hold (EIP-1474)."""

    code = -32005


class RevertedError(ChainError):
    """The call ran and reverted; `data` is what the contract returned (geth's code 3)."""

    code = 3


class StoreMismatchError(Exception):
    """The data directory holds another chain than the one that was asked for."""


class StoreLockedError(Exception):
    """Another process serves this data directory."""
