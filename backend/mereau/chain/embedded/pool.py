"""Transactions that wait for an earlier nonce of their sender. Everything else is mined at once."""

from mereau.chain.embedded.errors import InvalidTransactionError
from mereau.chain.embedded.transactions import Transaction

_TRANSACTIONS_MAX = 1_024
_BUMP_PERCENT = 10


class Pool:
    """The queue by sender and nonce. One transaction per nonce; a replacement pays at least 10 % more."""

    def __init__(self) -> None:
        self._by_sender: dict[bytes, dict[int, Transaction]] = {}
        self._by_hash: dict[bytes, Transaction] = {}

    def get(self, digest: bytes) -> Transaction | None:
        return self._by_hash.get(digest)

    def at(self, sender: bytes, nonce: int) -> Transaction | None:
        return self._by_sender.get(sender, {}).get(nonce)

    def senders(self) -> list[bytes]:
        return list(self._by_sender)

    def pending_nonce(self, sender: bytes, nonce: int) -> int:
        """The nonce after the unbroken run of queued transactions that starts at `nonce`."""
        queued = self._by_sender.get(sender, {})
        while nonce in queued:
            nonce += 1
        return nonce

    def check_replacement(self, transaction: Transaction) -> Transaction | None:
        """The transaction that this one replaces. Refuses, in geth's words, unless both fees rise enough."""
        old = self.at(transaction.sender, transaction.nonce)
        if old is not None and not (
            _bumped(old.max_fee_per_gas, transaction.max_fee_per_gas)
            and _bumped(old.max_priority_fee_per_gas, transaction.max_priority_fee_per_gas)
        ):
            raise InvalidTransactionError("replacement transaction underpriced")
        return old

    def add(self, transaction: Transaction) -> Transaction | None:
        """Queue it; returns what it replaced. Raises InvalidTransactionError when the queue is full."""
        old = self.check_replacement(transaction)
        if old is None and len(self._by_hash) >= _TRANSACTIONS_MAX:
            raise InvalidTransactionError("txpool is full")
        if old is not None:
            del self._by_hash[old.hash]
        self._by_hash[transaction.hash] = transaction
        self._by_sender.setdefault(transaction.sender, {})[transaction.nonce] = transaction
        return old

    def remove(self, transaction: Transaction) -> None:
        if self._by_hash.pop(transaction.hash, None) is not None:
            queued = self._by_sender[transaction.sender]
            del queued[transaction.nonce]
            if not queued:
                del self._by_sender[transaction.sender]


def _bumped(old: int, new: int) -> bool:
    return new * 100 >= old * (100 + _BUMP_PERCENT) and new > old
