"""The chain itself: genesis, mining on arrival, calls, estimates. No HTTP, no threads, no JSON."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mereau.chain.embedded.blocks import Header
from mereau.chain.embedded.building import BlockBuilder, check_form, draft, genesis
from mereau.chain.embedded.errors import ChainError, InvalidTransactionError, StoreMismatchError
from mereau.chain.embedded.evm import Outcome, context_of, execute
from mereau.chain.embedded.pool import Pool
from mereau.chain.embedded.store import BlockRow, ChainStore
from mereau.chain.embedded.transactions import Transaction, decode_transaction
from mereau.chain.embedded.world import World

FUNDS_WEI = 10**24
_ANCESTORS_MAX = 256

# Blocks may run ahead of the wall clock, one second each, so that a burst is not held up: an import sends
# a hundred batches one after the other. From the first bound on, mining waits longer the further ahead it
# is; at the second it waits the whole second that a block adds. So block times are never more than four
# minutes ahead, and fall back when the burst ends. Deadlines in orders need more room than that.
_AHEAD_FREE_S = 120
_AHEAD_MAX_S = 240


@dataclass(frozen=True, kw_only=True)
class ChainConfig:
    """`funded` addresses get 10^24 wei each at genesis; `development` opens the clock to tests."""

    chain_id: int
    funded: tuple[bytes, ...] = ()
    development: bool = False


class Head(NamedTuple):
    header: Header
    digest: bytes


class EmbeddedChain:
    """One chain over one store.

    `submit`, `mine_empty` and `estimate` belong to one thread; everything else only reads committed blocks
    and may run on any thread. Raises StoreMismatchError if the store holds another chain.
    """

    def __init__(self, store: ChainStore, config: ChainConfig) -> None:
        self.store = store
        self.config = config
        self.pool = Pool()
        self._head = self._open()
        self._offset_s = self._offset_at_start_s()
        for raw in store.queued():
            self.pool.add(decode_transaction(raw, chain_id=config.chain_id))
        self._mine_queued()

    @property
    def head(self) -> Head:
        return self._head

    def submit(self, raws: Sequence[bytes]) -> list[bytes | ChainError]:
        """Take signed transactions in order; answers each one's hash or its refusal.

        A hash is answered only when the transaction is on disk: in a block, or queued behind a missing nonce.
        """
        return _Round(self).take(raws)

    def pacing_delay_s(self) -> float:
        """How long mining should wait now so that block times stay close to the wall clock."""
        ahead_s = self._head.header.timestamp - self.now_s()
        return min(max((ahead_s - _AHEAD_FREE_S) / (_AHEAD_MAX_S - _AHEAD_FREE_S), 0.0), 1.0)

    def now_s(self) -> int:
        return int(time.time()) + self._offset_s

    def increase_time(self, seconds: int) -> int:
        """Move the chain's clock forward for tests; answers the whole offset in seconds."""
        self._offset_s += seconds
        return self._offset_s

    def mine_empty(self) -> None:
        self.commit(self.builder())

    def world_at(self, header: Header) -> World:
        return World(self.store, header.state_root)

    def call(self, header: Header, transaction: Transaction) -> Outcome:
        """Run a call in the context of a mined block and forget its effects. Fees are not charged."""
        return self._run(header, header, transaction)

    def estimate(self, transaction: Transaction) -> Outcome:
        """Run a call as the next block would, at the given gas."""
        return self._run(self._head.header, self._next_header(), transaction)

    def builder(self) -> BlockBuilder:
        """The next block, empty."""
        return BlockBuilder(self.store, self._next_header(), self._ancestors(self._head), self.config.chain_id)

    def commit(self, builder: BlockBuilder) -> None:
        """Seal the block, make it durable, make it the head; the pool forgets what it holds."""
        row, header, nodes = builder.seal()
        self.store.append(row, nodes, [transaction.hash for transaction in builder.transactions])
        for transaction in builder.transactions:
            self.pool.remove(transaction)
        self._head = Head(header, row.digest)

    def _run(self, at: Header, context: Header, transaction: Transaction) -> Outcome:
        world = self.world_at(at)
        balance = world.get_balance(transaction.sender)
        if balance < transaction.value:
            raise InvalidTransactionError(
                f"insufficient funds for gas * price + value: balance {balance}, tx cost {transaction.value}"
            )
        ancestors = self._ancestors_of(context.parent_hash)
        free = context_of(context._replace(base_fee=0), ancestors, self.config.chain_id)
        return execute(world, free, transaction)

    def _next_header(self) -> Header:
        header, digest = self._head
        return draft(header, digest, max(self.now_s(), header.timestamp + 1))

    def _ancestors(self, head: Head) -> Iterator[bytes]:
        return self._ancestors_of(head.digest)

    def _ancestors_of(self, digest: bytes) -> Iterator[bytes]:
        for _ in range(_ANCESTORS_MAX):
            row = self.store.block_by_digest(digest)
            if row is None:
                return
            yield digest
            digest = Header.decode(row.header).parent_hash

    def _open(self) -> Head:
        row = self.store.head()
        if row is None:
            row = self._create()
        identity = _identity(self.config)
        for key, wanted in identity.items():
            found = self.store.meta(key)
            if found != wanted:
                raise StoreMismatchError(
                    f"{self.store.path} holds a chain with {key} {found}, but {wanted} was asked for: "
                    "name another data directory, or start with the settings of the first start"
                )
        return Head(Header.decode(row.header), row.digest)

    def _offset_at_start_s(self) -> int:
        # A development chain that was moved into the future stays there: its blocks say how far.
        ahead_s = self._head.header.timestamp - int(time.time())
        return max(ahead_s, 0) if self.config.development else 0

    def _create(self) -> BlockRow:
        row, nodes = genesis(self.store, dict.fromkeys(self.config.funded, FUNDS_WEI), int(time.time()))
        self.store.append(row, nodes, [], {**_identity(self.config), "genesis": row.digest.hex()})
        return row

    def _mine_queued(self) -> None:
        # A crash can fall between a block and the successors that it made ready.
        promotion = _Round(self)
        for sender in self.pool.senders():
            promotion.promote(sender)
        promotion.finish()


def _identity(config: ChainConfig) -> dict[str, str]:
    funded = sorted({address.hex() for address in config.funded})
    return {"chain_id": str(config.chain_id), "funded": json.dumps(funded)}


class _Round:
    """One round of mining: what arrived together goes into as few blocks as gas allows."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        self._pool = chain.pool
        self._builder: BlockBuilder | None = None
        self._queued: dict[bytes, Transaction] = {}
        self._replaced: list[Transaction] = []

    def take(self, raws: Sequence[bytes]) -> list[bytes | ChainError]:
        answers: list[bytes | ChainError] = []
        for raw in raws:
            try:
                answers.append(self._take_one(raw))
            except ChainError as refusal:
                answers.append(refusal)
        try:
            self.finish()
        except BaseException:
            # Nothing of this round was answered, so nothing of it may be mined later unasked.
            for transaction in self._queued.values():
                self._pool.remove(transaction)
            raise
        return answers

    def finish(self) -> None:
        """Commit the open block and what had to be queued; nothing of the round is answered before."""
        if self._builder is not None and self._builder.transactions:
            self._chain.commit(self._builder)
        for replaced in self._replaced:
            self._pool.remove(replaced)
        waiting = {digest: tx.raw for digest, tx in self._queued.items() if self._pool.get(digest) is tx}
        if waiting or self._replaced:
            self._chain.store.requeue(waiting, [replaced.hash for replaced in self._replaced])

    def promote(self, sender: bytes) -> None:
        """Apply the queued transactions that `sender`'s nonce has reached, as long as they are payable."""
        builder = self._open()
        while (ready := self._pool.at(sender, builder.world.get_nonce(sender))) is not None:
            try:
                builder.check(ready)
            except InvalidTransactionError:
                return
            builder = self._apply(ready)

    def _take_one(self, raw: bytes) -> bytes:
        transaction = decode_transaction(raw, chain_id=self._chain.config.chain_id)
        if self._is_known(transaction):
            raise InvalidTransactionError("already known")
        check_form(transaction)
        builder = self._open()
        nonce = builder.world.get_nonce(transaction.sender)
        if transaction.nonce < nonce:
            raise InvalidTransactionError(f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}")
        if transaction.nonce > nonce:
            self._queue(transaction)
            return transaction.hash
        builder.check(transaction)
        replaced = self._pool.check_replacement(transaction)
        if replaced is not None:
            self._replaced.append(replaced)
        self._apply(transaction)
        self.promote(transaction.sender)
        return transaction.hash

    def _queue(self, transaction: Transaction) -> None:
        replaced = self._pool.add(transaction)
        self._queued[transaction.hash] = transaction
        if replaced is not None:
            self._replaced.append(replaced)

    def _apply(self, transaction: Transaction) -> BlockBuilder:
        builder = self._open()
        if not builder.has_room(transaction):
            self._chain.commit(builder)
            self._builder = None
            builder = self._open()
        builder.apply(transaction)
        return builder

    def _is_known(self, transaction: Transaction) -> bool:
        in_block = self._builder is not None and any(
            transaction.hash == other.hash for other in self._builder.transactions
        )
        mined = self._chain.store.location(transaction.hash) is not None
        return in_block or mined or self._pool.get(transaction.hash) is not None

    def _open(self) -> BlockBuilder:
        if self._builder is None:
            self._builder = self._chain.builder()
        return self._builder
