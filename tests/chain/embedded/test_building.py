"""A block in the making: room, senders with code, and the base fee from block to block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.embedded.support import CHAIN_ID, GWEI, account, sign
from mereau.chain.embedded.blocks import BLOCK_GAS_LIMIT, TRANSACTION_GAS_LIMIT, Header, next_base_fee
from mereau.chain.embedded.building import BlockBuilder, draft
from mereau.chain.embedded.errors import InvalidTransactionError
from mereau.chain.embedded.transactions import Transaction, decode_transaction
from mereau.chain.embedded.trie import BLANK_ROOT, NoNodes

DELEGATION = b"\xef\x01\x00" + b"\x11" * 20


def parent(**fields: int) -> Header:
    header = Header(
        parent_hash=bytes(32), state_root=BLANK_ROOT, transactions_root=BLANK_ROOT, receipts_root=BLANK_ROOT,
        bloom=bytes(256), number=4, gas_limit=BLOCK_GAS_LIMIT, gas_used=0, timestamp=9, base_fee=GWEI,
    )  # fmt: skip
    return header._replace(**fields)


@pytest.fixture
def transaction() -> Transaction:
    return decode_transaction(bytes.fromhex(sign(account(0))[2:]), chain_id=CHAIN_ID)


@pytest.fixture
def builder(transaction: Transaction) -> BlockBuilder:
    made = BlockBuilder(NoNodes(), draft(parent(), b"\1" * 32, 10), [], CHAIN_ID)
    made.world.set_balance(transaction.sender, 10**20)
    return made


def test_a_sender_with_code_is_refused(builder: BlockBuilder, transaction: Transaction) -> None:
    builder.check(transaction)
    builder.world.set_code(transaction.sender, b"\x60\x00")
    with pytest.raises(InvalidTransactionError, match="sender not an eoa: address 0x"):
        builder.check(transaction)


def test_a_sender_with_a_delegation_is_not(builder: BlockBuilder, transaction: Transaction) -> None:
    builder.world.set_code(transaction.sender, DELEGATION)
    builder.check(transaction)


def test_a_check_changes_nothing(builder: BlockBuilder, transaction: Transaction) -> None:
    builder.check(transaction)
    builder.check(transaction)
    assert builder.world.get_nonce(transaction.sender) == 0
    assert builder.transactions == []


def test_there_is_room_for_three_at_the_cap_and_no_more() -> None:
    assert 3 * TRANSACTION_GAS_LIMIT <= BLOCK_GAS_LIMIT < 4 * TRANSACTION_GAS_LIMIT


def test_an_empty_block_keeps_the_state(builder: BlockBuilder) -> None:
    empty = BlockBuilder(NoNodes(), draft(parent(), b"\1" * 32, 10), [], CHAIN_ID)
    row, header, nodes = empty.seal()
    assert (header.state_root, header.gas_used, nodes) == (BLANK_ROOT, 0, {})
    assert header.transactions_root == header.receipts_root == BLANK_ROOT
    assert Header.decode(row.header) == header
    assert (header.number, header.parent_hash, header.timestamp) == (5, b"\1" * 32, 10)


@pytest.mark.parametrize(
    ("gas_used", "expected"),
    [
        (BLOCK_GAS_LIMIT // 2, GWEI),
        (BLOCK_GAS_LIMIT, GWEI * 9 // 8),
        (0, GWEI * 7 // 8),
        (BLOCK_GAS_LIMIT // 2 + 1, GWEI + 4),
    ],
)
def test_the_base_fee_follows_eip_1559(gas_used: int, expected: int) -> None:
    assert next_base_fee(parent(gas_used=gas_used)) == expected


@given(st.integers(0, 10**12), st.integers(0, BLOCK_GAS_LIMIT))
def test_the_base_fee_moves_by_an_eighth_at_most(base_fee: int, gas_used: int) -> None:
    after = next_base_fee(parent(base_fee=base_fee, gas_used=gas_used))
    assert base_fee - base_fee // 8 <= after <= base_fee + max(base_fee // 8, 1)
    assert (after > base_fee) == (gas_used > BLOCK_GAS_LIMIT // 2)
