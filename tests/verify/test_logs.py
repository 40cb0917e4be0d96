"""Reading logs: orders gather the mints and burns before them, in their transaction and in order."""

from typing import Any

import pytest

from mereau_verify.chain import (
    ChainBatch,
    ChainFacts,
    ChainRedemption,
    Transfer,
    balance_slot,
    code_matches,
    storage_place,
)
from mereau_verify.checks import check_sequences
from mereau_verify.report import Finding, Report
from verify.history import NOBODY, WALLETS, Log, facts_of, flipped, redeemed_log, summary_log, transfer_log, word

ALICE, BOB, CAROL = WALLETS[:3]
ROOT, OTHER_ROOT, REFERENCE, OTHER_REFERENCE = (bytes([number]) * 32 for number in (1, 2, 3, 4))
UNMATCHED = ("orders that match its mints and burns", "others")


def findings_of(logs: list[Log]) -> list[Finding]:
    report = Report()
    check_sequences(facts_of(logs), report)
    return report.findings


def mint(wallet: bytes, tokens: int, **place: int) -> Log:
    return transfer_log(NOBODY, wallet, tokens, **place)


def burn(wallet: bytes, tokens: int, **place: int) -> Log:
    return transfer_log(wallet, NOBODY, tokens, **place)


def issued(sequence: int, total: int, root: bytes = ROOT, partner: int = 1, **place: int) -> Log:
    return summary_log("issue", partner, sequence, root, total, **place)


def lost(transaction: int) -> Finding:
    return Finding("completeness", f"transaction {word(transaction)}", *UNMATCHED)


def test_an_issue_with_its_mints() -> None:
    facts = facts_of([mint(ALICE, 5, block=7), mint(BOB, 6, block=7), issued(1, 11, block=7)])
    transfers = (Transfer(NOBODY, ALICE, 5), Transfer(NOBODY, BOB, 6))
    assert facts.batches == {("issue", 1, 1): ChainBatch("issue", 1, 1, ROOT, 11, 7, transfers)}
    assert dict(facts.balances) == {ALICE: 5, BOB: 6}
    assert (facts.transfers, facts.totals, facts.lost, facts.doubled) == (2, {"issue": 11}, [], [])


def test_several_orders_in_one_transaction() -> None:
    """Each takes the transfers since the order before it."""
    logs = [
        mint(ALICE, 9), issued(1, 9), mint(BOB, 4), mint(BOB, 5), issued(1, 9, OTHER_ROOT, partner=2),
        burn(ALICE, 2), summary_log("reverse", 1, 2, ROOT, 2), burn(BOB, 3), summary_log("expire", None, 1, ROOT, 3),
    ]  # fmt: skip
    facts = facts_of(logs)
    assert {key: len(batch.transfers) for key, batch in facts.batches.items()} == {
        ("issue", 1, 1): 1, ("issue", 2, 1): 2, ("reverse", 1, 2): 1, ("expire", None, 1): 1,
    }  # fmt: skip
    assert dict(facts.balances) == {ALICE: 7, BOB: 6}
    assert facts.totals == {"issue": 18, "reverse": 2, "expire": 3}
    assert findings_of(logs) == []


def test_redemptions_among_issues() -> None:
    """A redemption takes only its own burn, the last before it."""
    logs = [
        mint(ALICE, 9), issued(1, 9), burn(ALICE, 2), redeemed_log(ALICE, 1, 0, REFERENCE),
        burn(ALICE, 3), redeemed_log(ALICE, 2, 1, OTHER_REFERENCE), mint(BOB, 1), issued(2, 1),
    ]  # fmt: skip
    facts = facts_of(logs)
    assert facts.redemptions == {
        REFERENCE: ChainRedemption(ALICE, 1, 0, REFERENCE, 2, 1),
        OTHER_REFERENCE: ChainRedemption(ALICE, 2, 1, OTHER_REFERENCE, 3, 1),
    }
    assert facts.totals == {"issue": 10, "redeem": 5}
    assert findings_of(logs) == []


def test_members_transfers_belong_to_no_order() -> None:
    """They count for balances, and may stand in the middle of a Multicall."""
    logs = [mint(ALICE, 9), transfer_log(ALICE, BOB, 4), issued(1, 9), transfer_log(BOB, BOB, 1)]
    facts = facts_of(logs)
    assert facts.batches["issue", 1, 1].transfers == (Transfer(NOBODY, ALICE, 9),)
    assert dict(facts.balances) == {ALICE: 5, BOB: 4}
    assert facts.transfers == 3
    assert findings_of(logs) == []


@pytest.mark.parametrize("logs", [[mint(ALICE, 1, transaction=5)], [burn(ALICE, 1, transaction=5)]])
def test_a_mint_or_burn_without_order(logs: list[Log]) -> None:
    assert findings_of(logs) == [lost(5)]


def test_an_order_does_not_reach_into_another_transaction() -> None:
    logs = [mint(ALICE, 1, transaction=5), issued(1, 1, transaction=6)]
    assert findings_of(logs) == [Finding("supply", "issue 1/1, total", "0", "1"), lost(5)]


def test_a_redemption_leaves_what_it_does_not_explain() -> None:
    logs = [mint(BOB, 1), burn(ALICE, 1), redeemed_log(ALICE, 1, 0, REFERENCE)]
    assert findings_of(logs) == [lost(1)]


@pytest.mark.parametrize(
    "before",
    [[], [burn(BOB, 2)], [mint(ALICE, 2)], [burn(ALICE, 2), summary_log("reverse", 1, 1, ROOT, 2)]],
    ids=["nothing", "another's burn", "a mint", "a burn that a reversal took"],
)
def test_a_redemption_without_its_burn(before: list[Log]) -> None:
    assert findings_of([*before, redeemed_log(ALICE, 1, 0, REFERENCE)]) == [lost(1)]


@pytest.mark.parametrize(("told", "moved"), [(10, 9), (0, 9), (9, 0)])
def test_a_sum_that_is_not_that_of_its_transfers(told: int, moved: int) -> None:
    logs = [*([mint(ALICE, moved)] if moved else []), issued(1, told)]
    assert findings_of(logs) == [Finding("supply", "issue 1/1, total", str(moved), str(told))]


def test_a_doubled_order() -> None:
    logs = [mint(ALICE, 1), issued(1, 1), mint(ALICE, 1), issued(1, 1)]
    assert findings_of(logs) == [Finding("sequence", "issue 1/1", "once", "twice")]


def test_a_doubled_redemption() -> None:
    logs = [burn(ALICE, 1), redeemed_log(ALICE, 1, 0, REFERENCE)] * 2
    assert findings_of(logs) == [Finding("sequence", f"redeem 0x{REFERENCE.hex()}", "once", "twice")]


@pytest.mark.parametrize(
    ("sequences", "gap"),
    [([2], 1), ([1, 3], 2), ([1, 2, 4, 5], 3), ([0, 1], 1), ([3, 1], 2)],
)
def test_a_gap(sequences: list[int], gap: int) -> None:
    """Of one partner; another's line beside it is whole."""
    logs = [issued(sequence, 0, bytes(32)) for sequence in sequences] + [issued(1, 0, partner=2)]
    assert findings_of(logs) == [Finding("sequence", "partner 1", f"sequence {gap}", "a gap or a double")]


def test_a_gap_in_expiry() -> None:
    logs = [summary_log("expire", None, 2, ROOT, 0)]
    assert findings_of(logs) == [Finding("sequence", "expiry", "sequence 1", "a gap or a double")]


def test_issues_and_reversals_share_a_line() -> None:
    whole = [issued(1, 0), summary_log("reverse", 1, 2, ROOT, 0), issued(3, 0)]
    assert findings_of(whole) == []
    double = [issued(1, 0), summary_log("reverse", 1, 1, ROOT, 0)]
    assert findings_of(double) == [Finding("sequence", "partner 1", "sequence 2", "a gap or a double")]


@pytest.mark.parametrize("sequences", [[], [1], [3, 1, 2]])
def test_whole_lines_in_any_order(sequences: list[int]) -> None:
    assert findings_of([issued(sequence, 0) for sequence in sequences]) == []


@pytest.mark.parametrize("topics", [[], [word(7)], [flipped(word(9), 3), word(ALICE)]])
def test_other_events_are_passed_over(topics: list[str]) -> None:
    assert facts_of([issued(1, 0) | {"topics": topics}]) == ChainFacts()


@pytest.mark.parametrize("change", [{"topics": ["0xzz"]}, {"blockNumber": "soon"}])
def test_what_is_no_log_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"hex|literal"):
        facts_of([issued(1, 0) | change])


def test_the_largest_numbers_are_read_whole() -> None:
    facts = facts_of([mint(ALICE, 2**256 - 1), issued(2**64 - 1, 2**256 - 1, partner=2**32 - 1)])
    assert facts.batches["issue", 2**32 - 1, 2**64 - 1].total == 2**256 - 1
    assert facts.balances[ALICE] == 2**256 - 1


def test_places_in_storage_are_the_compilers() -> None:
    assert storage_place("_totalSupply")[1] == 2**128 - 1
    assert storage_place("_accounts")[0] != storage_place("_totalSupply")[0]
    with pytest.raises(StopIteration):
        storage_place("_paused")


def test_slots_differ_by_wallet_and_mapping() -> None:
    assert len({balance_slot(wallet, slot) for wallet in WALLETS for slot in (6, 7)}) == 2 * len(WALLETS)
    # keccak256(abi.encode(address(0), uint256(0))), a constant that every Solidity developer has met.
    assert balance_slot(NOBODY, 0).hex() == "ad3228b676f7d3cd4284a5443f17f1962b36e491b30a40b2405849e597ba5fb5"


@pytest.mark.parametrize("code", [b"", b"\x60\x80", bytes(24_000)])
def test_other_code_does_not_match(code: bytes) -> None:
    assert not code_matches(code)
