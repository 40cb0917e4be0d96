"""The queue by itself: one transaction per nonce, runs without gaps, replacements that pay, a bound that holds."""

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.embedded.support import CHAIN_ID, GWEI, account, sign
from mereau.chain.embedded import pool as pool_module
from mereau.chain.embedded.errors import InvalidTransactionError
from mereau.chain.embedded.pool import Pool
from mereau.chain.embedded.transactions import Transaction, decode_transaction


@cache
def transaction(number: int, nonce: int, fee: int = 10 * GWEI, tip: int = GWEI) -> Transaction:
    raw = sign(account(number), nonce=nonce, maxFeePerGas=fee, maxPriorityFeePerGas=tip)
    return decode_transaction(bytes.fromhex(raw[2:]), chain_id=CHAIN_ID)


def sender(number: int) -> bytes:
    return transaction(number, 0).sender


def test_an_empty_pool_knows_nobody() -> None:
    pool = Pool()
    assert pool.senders() == []
    assert pool.get(b"\0" * 32) is None
    assert pool.at(sender(1), 0) is None
    assert pool.pending_nonce(sender(1), 7) == 7


def test_a_run_ends_at_its_first_gap() -> None:
    pool = Pool()
    for nonce in (5, 6, 8, 9):
        pool.add(transaction(1, nonce))
    assert [pool.pending_nonce(sender(1), nonce) for nonce in (4, 5, 6, 7, 8, 10)] == [4, 7, 7, 7, 10, 10]
    assert pool.pending_nonce(sender(2), 5) == 5
    pool.add(transaction(1, 7))
    assert pool.pending_nonce(sender(1), 5) == 10


def test_senders_come_in_the_order_of_their_arrival_and_leave_with_their_last() -> None:
    pool = Pool()
    for number, nonce in ((3, 1), (1, 1), (2, 1), (3, 2)):
        pool.add(transaction(number, nonce))
    assert pool.senders() == [sender(3), sender(1), sender(2)]
    pool.remove(transaction(3, 1))
    assert pool.senders() == [sender(3), sender(1), sender(2)]
    pool.remove(transaction(3, 2))
    assert pool.senders() == [sender(1), sender(2)]


def test_what_is_removed_twice_or_was_never_there_changes_nothing() -> None:
    pool = Pool()
    pool.add(transaction(1, 1))
    pool.remove(transaction(1, 2))
    pool.remove(transaction(2, 1))
    assert pool.at(sender(1), 1) is transaction(1, 1)
    pool.remove(transaction(1, 1))
    pool.remove(transaction(1, 1))
    assert pool.senders() == []


@pytest.mark.parametrize(
    ("fee", "tip", "accepted"),
    [
        (11 * GWEI, 11 * GWEI // 10, True),
        (11 * GWEI - 1, 11 * GWEI // 10, False),
        (11 * GWEI, 11 * GWEI // 10 - 1, False),
        (10 * GWEI + 1, GWEI + 1, False),
        (99 * GWEI, GWEI, False),
        (10 * GWEI, 9 * GWEI, False),
    ],
)
def test_a_replacement_raises_both_fees_by_a_tenth(fee: int, tip: int, accepted: bool) -> None:
    pool, old, new = Pool(), transaction(1, 4), transaction(1, 4, fee, tip)
    pool.add(old)
    if accepted:
        assert pool.add(new) is old
    else:
        with pytest.raises(InvalidTransactionError, match="replacement transaction underpriced"):
            pool.add(new)
    assert pool.at(sender(1), 4) is (new if accepted else old)
    assert (pool.get(old.hash) is None) == accepted
    assert (pool.get(new.hash) is None) != accepted


def test_free_transactions_are_replaced_by_ones_that_pay() -> None:
    """A tenth more than nothing is nothing: it must still be more."""
    pool = Pool()
    pool.add(transaction(1, 1, 0, 0))
    with pytest.raises(InvalidTransactionError):
        pool.check_replacement(transaction(1, 1, 1, 0))
    assert pool.add(transaction(1, 1, 1, 1)) is transaction(1, 1, 0, 0)


def test_a_full_pool_takes_replacements_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_TRANSACTIONS_MAX", 3)
    pool = Pool()
    for nonce in (1, 2, 3):
        pool.add(transaction(1, nonce))
    with pytest.raises(InvalidTransactionError, match="txpool is full"):
        pool.add(transaction(2, 1))
    assert pool.add(transaction(1, 2, 20 * GWEI, 2 * GWEI)) is transaction(1, 2)
    pool.remove(transaction(1, 3))
    assert pool.add(transaction(2, 1)) is None


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 4), st.sampled_from([10, 11, 13, 20])), max_size=40
    )
)
def test_any_history_of_the_pool_is_that_of_a_dictionary(history: list[tuple[bool, int, int, int]]) -> None:
    pool = Pool()
    model: dict[tuple[bytes, int], Transaction] = {}
    for adds, number, nonce, gwei in history:
        one = transaction(number, nonce, gwei * GWEI, gwei * GWEI // 10)
        place = (one.sender, nonce)
        if not adds:
            pool.remove(one)
            if model.get(place) is one:
                del model[place]
            continue
        old = model.get(place)
        if old is None or one.max_fee_per_gas * 10 >= old.max_fee_per_gas * 11:
            assert pool.add(one) is old
            model[place] = one
        else:
            with pytest.raises(InvalidTransactionError):
                pool.add(one)
    for number in range(3):
        for nonce in range(5):
            assert pool.at(sender(number), nonce) is model.get((sender(number), nonce))
    assert {pool.get(one.hash) for one in model.values()} == set(model.values())
    assert set(pool.senders()) == {place[0] for place in model}


def test_the_order_of_arrival_does_not_change_what_waits() -> None:
    source = random.Random(7)
    waiting = [transaction(number, nonce) for number in range(3) for nonce in range(4)]
    pools = []
    for _ in range(5):
        source.shuffle(waiting)
        pool = Pool()
        for one in waiting:
            pool.add(one)
        pools.append([pool.pending_nonce(sender(number), 0) for number in range(3)])
    assert pools == [[4, 4, 4]] * 5
