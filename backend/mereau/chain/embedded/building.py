"""One block in the making: transactions are checked against its state, run, and sealed into a stored row."""

from collections.abc import Iterable, Mapping

from eth_hash.auto import keccak

from mereau.chain.embedded.blocks import (
    BASE_FEE_GENESIS_WEI,
    BLOCK_GAS_LIMIT,
    TRANSACTION_GAS_LIMIT,
    Header,
    MinedTransaction,
    Receipt,
    bloom_of,
    encode_body,
    next_base_fee,
    union,
)
from mereau.chain.embedded.codec import encode
from mereau.chain.embedded.errors import InvalidTransactionError
from mereau.chain.embedded.evm import context_of, execute
from mereau.chain.embedded.store import BlockRow
from mereau.chain.embedded.transactions import Transaction
from mereau.chain.embedded.trie import BLANK_ROOT, NodeReader, ordered_root
from mereau.chain.embedded.world import World

TRANSACTION_SIZE_MAX = 128 * 1024
_INITCODE_SIZE_MAX = 49_152
_DELEGATION = b"\xef\x01\x00"


def draft(parent: Header, parent_hash: bytes, timestamp: int) -> Header:
    """The header of an empty block after `parent`; its roots are filled when the block is sealed."""
    return Header(
        parent_hash=parent_hash,
        state_root=parent.state_root,
        transactions_root=BLANK_ROOT,
        receipts_root=BLANK_ROOT,
        bloom=bytes(256),
        number=parent.number + 1,
        gas_limit=BLOCK_GAS_LIMIT,
        gas_used=0,
        timestamp=timestamp,
        base_fee=next_base_fee(parent),
    )


def genesis(nodes: NodeReader, balances: Mapping[bytes, int], timestamp: int) -> tuple[BlockRow, dict[bytes, bytes]]:
    """Block 0 with these balances in wei, and the nodes of its state."""
    world = World(nodes, BLANK_ROOT)
    for address, balance in balances.items():
        world.set_balance(address, balance)
    state_root, fresh = world.seal()
    header = Header(
        parent_hash=bytes(32),
        state_root=state_root,
        transactions_root=BLANK_ROOT,
        receipts_root=BLANK_ROOT,
        bloom=bytes(256),
        number=0,
        gas_limit=BLOCK_GAS_LIMIT,
        gas_used=0,
        timestamp=timestamp,
        base_fee=BASE_FEE_GENESIS_WEI,
    )
    encoded = header.encode()
    return BlockRow(0, keccak(encoded), encoded, encode([]), encode([])), fresh


def check_start(transaction: Transaction) -> None:
    """Refuse a transaction or call that could not even start. Raises InvalidTransactionError."""
    gas, needed = transaction.gas, transaction.intrinsic_gas + transaction.initcode_gas
    if not transaction.to and len(transaction.data) > _INITCODE_SIZE_MAX:
        raise InvalidTransactionError(
            f"max initcode size exceeded: code size {len(transaction.data)}, limit {_INITCODE_SIZE_MAX}"
        )
    if gas < needed:
        raise InvalidTransactionError(f"intrinsic gas too low: gas {gas}, minimum needed {needed}")
    if gas < transaction.floor_gas:
        raise InvalidTransactionError(
            f"insufficient gas for floor data gas cost: gas {gas}, minimum needed {transaction.floor_gas}"
        )


def check_form(transaction: Transaction) -> None:
    """Refuse what no state can make valid: sizes, gas limits, fees. Raises InvalidTransactionError."""
    size = len(transaction.raw)
    if size > TRANSACTION_SIZE_MAX:
        raise InvalidTransactionError(f"oversized data: transaction size {size}, limit {TRANSACTION_SIZE_MAX}")
    if transaction.gas > TRANSACTION_GAS_LIMIT:
        raise InvalidTransactionError(
            f"transaction gas limit too high (cap: {TRANSACTION_GAS_LIMIT}, tx: {transaction.gas})"
        )
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
        raise InvalidTransactionError(
            "max priority fee per gas higher than max fee per gas: "
            f"maxPriorityFeePerGas: {transaction.max_priority_fee_per_gas}, "
            f"maxFeePerGas: {transaction.max_fee_per_gas}"
        )
    check_start(transaction)


class BlockBuilder:
    """A block on top of a parent. Not for more than one thread, and of no use after `seal`."""

    def __init__(self, nodes: NodeReader, header: Header, ancestors: Iterable[bytes], chain_id: int) -> None:
        self.world = World(nodes, header.state_root)
        self.transactions: list[Transaction] = []
        self._header = header
        self._context = context_of(header, ancestors, chain_id)
        self._receipts: list[Receipt] = []
        self._gas_used = 0

    def has_room(self, transaction: Transaction) -> bool:
        return self._gas_used + transaction.gas <= self._header.gas_limit

    def check(self, transaction: Transaction) -> None:
        """Refuse what this state cannot pay for. Raises InvalidTransactionError; changes nothing."""
        base_fee = self._header.base_fee
        if transaction.max_fee_per_gas < base_fee:
            raise InvalidTransactionError(
                f"max fee per gas less than block base fee: address 0x{transaction.sender.hex()}, "
                f"maxFeePerGas: {transaction.max_fee_per_gas}, baseFee: {base_fee}"
            )
        balance = self.world.get_balance(transaction.sender)
        if balance < transaction.cost_max:
            raise InvalidTransactionError(
                f"insufficient funds for gas * price + value: balance {balance}, "
                f"tx cost {transaction.cost_max}, overshot {transaction.cost_max - balance}"
            )
        code = self.world.get_code(transaction.sender)
        if code and not code.startswith(_DELEGATION):
            raise InvalidTransactionError(f"sender not an eoa: address 0x{transaction.sender.hex()}")

    def apply(self, transaction: Transaction) -> None:
        """Run a checked transaction whose nonce is its sender's next."""
        outcome = execute(self.world, self._context, transaction)
        self._gas_used += outcome.gas_used
        self.transactions.append(transaction)
        self._receipts.append(
            Receipt(
                type_id=transaction.type_id,
                status=int(outcome.succeeded),
                cumulative_gas=self._gas_used,
                bloom=bloom_of(outcome.logs),
                logs=outcome.logs,
            )
        )

    def seal(self) -> tuple[BlockRow, Header, dict[bytes, bytes]]:
        """The finished block, its header, and the nodes to store with it."""
        state_root, nodes = self.world.seal()
        receipts = [receipt.encode() for receipt in self._receipts]
        header = self._header._replace(
            state_root=state_root,
            transactions_root=ordered_root([transaction.raw for transaction in self.transactions]),
            receipts_root=ordered_root(receipts),
            bloom=union(receipt.bloom for receipt in self._receipts),
            gas_used=self._gas_used,
        )
        encoded = header.encode()
        body = encode_body(MinedTransaction(transaction.raw, transaction.sender) for transaction in self.transactions)
        return BlockRow(header.number, keccak(encoded), encoded, body, encode(receipts)), header, nodes
