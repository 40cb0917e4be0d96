"""Each rule on facts made by hand: what holds is silent, what does not is one finding, word for word."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from fixtures.onchain import Operation as Told
from fixtures.onchain import standard_tree_root
from mereau_verify import checks
from mereau_verify.chain import ChainBatch, ChainFacts, ChainRedemption, Transfer
from mereau_verify.report import Finding, Report
from mereau_verify.trail import BalanceLine, Operation, TrailBatch
from verify.history import NOBODY, WALLETS

ALICE, BOB = WALLETS[:2]
A, B = f"0x{ALICE.hex()}", f"0x{BOB.hex()}"
KEY = ("issue", 1, 1)


def told(number: int, wallet: bytes, tokens: int, kind: str = "issue", /, **changes: object) -> Told:
    record = {"id": f"op{number}", "kind": kind, "wallet": f"0x{wallet.hex()}", "tokens": tokens, "partner": 1}
    return Told(f"op{number}", f"0x{wallet.hex()}", tokens, record | changes, bytes([number]) * 16)


def parsed(operation: Told, index: int) -> Operation:
    wallet = bytes.fromhex(operation.wallet[2:])
    return Operation(
        index + 2, index, operation.id, wallet, operation.tokens, operation.commitment, operation.salt,
        operation.record,
    )  # fmt: skip


STORY = [told(1, ALICE, 5), told(2, BOB, 6)]
ROOT = standard_tree_root([operation.leaf(index) for index, operation in enumerate(STORY)])


def issue() -> TrailBatch:
    return TrailBatch(1, "issue", 1, 1, ROOT, 9, 2, [parsed(item, index) for index, item in enumerate(STORY)])


def executed(**changes: Any) -> ChainFacts:
    transfers = (Transfer(NOBODY, ALICE, 5), Transfer(NOBODY, BOB, 6))
    batch = replace(ChainBatch("issue", 1, 1, ROOT, 11, 9, transfers), **changes)
    return ChainFacts(batches={KEY: batch})


def of_batch(batch: TrailBatch, facts: ChainFacts, *, seen: bool = False) -> list[Finding]:
    report = Report()
    checks.check_batch(batch, facts, {KEY} if seen else set(), set(), report)
    return report.findings


def test_a_batch_that_holds_is_seen() -> None:
    seen: set[tuple[str, int | None, int]] = set()
    report = Report()
    checks.check_batch(issue(), executed(), seen, set(), report)
    assert (report.findings, seen) == ([], {KEY})


def test_a_batch_without_its_order() -> None:
    assert of_batch(issue(), ChainFacts()) == [
        Finding("completeness", "line 1 (issue 1/1)", "executed on chain once", "not there")
    ]


def test_a_batch_told_twice() -> None:
    assert of_batch(issue(), executed(), seen=True) == [
        Finding("completeness", "line 1 (issue 1/1)", "executed on chain once", "told twice")
    ]


def test_a_batch_in_another_block() -> None:
    assert of_batch(issue(), executed(block=8)) == [Finding("completeness", "line 1 (issue 1/1), block", "8", "9")]


def test_a_root_that_the_chain_does_not_have() -> None:
    other = bytes(31) + b"\x01"
    assert of_batch(issue(), executed(root=other)) == [
        Finding("root", "line 1 (issue 1/1)", f"0x{other.hex()} (chain)", f"0x{ROOT.hex()} (recomputed)"),
        Finding("root", "line 1 (issue 1/1), root", f"0x{other.hex()}", f"0x{ROOT.hex()}"),
    ]


def test_a_root_of_other_operations() -> None:
    batch = issue()
    batch.operations[0].id = "op9"
    batch.operations[0].record = batch.operations[0].salt = None
    (finding,) = of_batch(batch, executed())
    assert (finding.rule, finding.place, finding.expected) == ("root", "line 1 (issue 1/1)", f"0x{ROOT.hex()} (chain)")


@pytest.mark.parametrize("missing", ["sequence", "root"])
def test_a_batch_without_its_name(missing: str) -> None:
    batch = replace(issue(), **{missing: None})
    (finding,) = of_batch(batch, executed())
    assert (finding.rule, finding.expected, finding.found) == ("format", "a sequence and a root", "none")


def test_a_batch_of_another_size() -> None:
    assert of_batch(replace(issue(), expected=3), executed()) == [
        Finding("completeness", "line 1 (issue 1/1)", "3 operations", "2")
    ]


def test_an_index_out_of_place() -> None:
    batch = issue()
    batch.operations[1].index = 2
    assert of_batch(batch, executed())[0] == Finding("format", "line 3", "index 1", "index 2")


@pytest.mark.parametrize(
    ("transfer", "expected"),
    [
        (Transfer(NOBODY, BOB, 7), f"7 for {B}"), (Transfer(NOBODY, ALICE, 6), f"6 for {A}"),
        (Transfer(BOB, NOBODY, 6), f"6 for 0x{'00' * 20}"), (Transfer(ALICE, BOB, 6), f"6 for {B}"),
    ],
    ids=["amount", "wallet", "a burn", "no mint"],
)  # fmt: skip
def test_an_operation_that_is_not_its_transfer(transfer: Transfer, expected: str) -> None:
    facts = executed(transfers=(Transfer(NOBODY, ALICE, 5), transfer))
    assert of_batch(issue(), facts) == [Finding("transfer", "line 3 (op2)", expected, f"6 for {B}")]


def test_a_transfer_too_many() -> None:
    facts = executed(transfers=(*executed().batches[KEY].transfers, Transfer(NOBODY, BOB, 1)))
    assert of_batch(issue(), facts) == [Finding("transfer", "line 1 (issue 1/1)", "3 Transfers", "2 operations")]


@pytest.mark.parametrize("kind", ["reverse", "expire"])
def test_a_debit_is_a_burn(kind: str) -> None:
    """And, told of a mint, it is a finding."""
    partner = 1 if kind == "reverse" else None
    story = told(1, ALICE, 5, kind)
    root = standard_tree_root([story.leaf(0)])
    batch = TrailBatch(1, kind, partner, 1, root, 9, 1, [parsed(story, 0)])
    for transfer, count in ((Transfer(ALICE, NOBODY, 5), 0), (Transfer(NOBODY, ALICE, 5), 1)):
        facts = ChainFacts(batches={(kind, partner, 1): ChainBatch(kind, partner, 1, root, 5, 9, (transfer,))})
        assert [finding.rule for finding in of_batch(batch, facts)] == ["transfer"] * count


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("id", "op2", '"op1"'), ("kind", "reverse", '"issue"'), ("wallet", B, f'"{A}"'), ("tokens", 6, "5"),
        ("tokens", 5.0, "5"), ("tokens", "5", "5"), ("partner", 2, "1"), ("partner", True, "1"), ("partner", None, "1"),
    ],
)  # fmt: skip
def test_a_record_that_says_something_else(name: str, value: object, wanted: str) -> None:
    """It hashes to its commitment: the operator wrote two stories."""
    report = Report()
    checks.check_record(parsed(told(1, ALICE, 5, **{name: value}), 0), issue(), report)
    (finding,) = report.findings
    assert (finding.rule, finding.place, finding.expected) == ("record", f"line 2 (op1, {name})", wanted)


@pytest.mark.parametrize("missing", ["record", "salt"])
def test_half_an_opening_opens_nothing(missing: str) -> None:
    report, operation = Report(), replace(parsed(STORY[0], 0), **{missing: None})
    checks.check_record(operation, issue(), report)
    assert report.findings == [Finding("record", "line 2 (op1)", "record and salt, or neither", "one of them")]


def test_an_erased_record_is_silent() -> None:
    report, operation = Report(), replace(parsed(STORY[0], 0), record=None, salt=None)
    checks.check_record(operation, issue(), report)
    assert report.ok


def test_a_commitment_to_something_else() -> None:
    report, operation = Report(), replace(parsed(STORY[0], 0), commitment=bytes(32))
    checks.check_record(operation, issue(), report)
    right = f"0x{STORY[0].commitment.hex()}"
    assert report.findings == [Finding("record", "line 2 (op1)", f"0x{'00' * 32}", right)]


BURNED = told(1, ALICE, 5, "redeem")


def redemption(**changes: Any) -> tuple[TrailBatch, ChainFacts]:
    fact = ChainRedemption(ALICE, 1, 0, BURNED.commitment, 5, 9)
    facts = ChainFacts(redemptions={fact.reference: replace(fact, **changes)})
    return TrailBatch(1, "redeem", None, None, None, 9, 1, [parsed(BURNED, 0)]), facts


def test_a_redemption_that_holds() -> None:
    redeemed: set[bytes] = set()
    report = Report()
    checks.check_redemptions(*redemption(), redeemed, report)
    assert (report.findings, redeemed) == ([], {BURNED.commitment})
    checks.check_redemptions(*redemption(), redeemed, report)
    assert report.findings == [Finding("completeness", "line 2 (op1)", "executed on chain once", "told twice")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tokens": 6}, f"6 of {A} at partner 1"), ({"member": BOB}, f"5 of {B} at partner 1"),
        ({"partner": 2}, f"5 of {A} at partner 2"), ({"partner": 0}, f"5 of {A} at partner 0"),
    ],
)  # fmt: skip
def test_a_redemption_that_the_chain_knows_otherwise(changes: dict[str, Any], expected: str) -> None:
    report = Report()
    checks.check_redemptions(*redemption(**changes), set(), report)
    assert report.findings == [Finding("redemption", "line 2 (op1)", expected, f"5 of {A} at partner 1")]


def test_a_redemption_of_another_block() -> None:
    report = Report()
    checks.check_redemptions(*redemption(block=10), set(), report)
    assert report.findings == [Finding("completeness", "line 2 (op1), block", "10", "9")]


def test_a_redemption_that_the_chain_does_not_know() -> None:
    report, (batch, _) = Report(), redemption()
    checks.check_redemptions(batch, ChainFacts(), set(), report)
    assert report.findings == [Finding("redemption", "line 2 (op1)", "a Redeemed event with this commitment", "none")]


def test_an_erased_redemption_takes_the_chains_partner() -> None:
    report, (batch, facts) = Report(), redemption(partner=7)
    batch.operations[0].record = batch.operations[0].salt = None
    checks.check_redemptions(batch, facts, set(), report)
    assert report.ok


@pytest.mark.parametrize(
    ("batch", "silent"),
    [
        (ChainBatch("issue", 1, 1, bytes(32), 0, 9, ()), True),
        (ChainBatch("issue", 1, 1, ROOT, 0, 9, ()), False),
        (ChainBatch("issue", 1, 1, bytes(32), 5, 9, (Transfer(NOBODY, ALICE, 5),)), False),
    ],
    ids=["void", "a root", "a transfer"],
)
def test_an_untold_order(batch: ChainBatch, silent: bool) -> None:
    report = Report()
    checks.check_complete(ChainFacts(batches={KEY: batch}), set(), set(), report)
    missing = Finding("completeness", "issue 1/1 in block 9", "told by the trail", "absent")
    assert report.findings == ([] if silent else [missing])


def test_an_untold_redemption() -> None:
    report, (_, facts) = Report(), redemption()
    checks.check_complete(facts, set(), set(), report)
    place = f"redemption 0x{BURNED.commitment.hex()} in block 9"
    assert report.findings == [Finding("completeness", place, "told by the trail", "absent")]
    checks.check_complete(facts, set(), {BURNED.commitment}, report)
    assert len(report.findings) == 1


def of_balances(*lines: BalanceLine, **balances: int) -> list[Finding]:
    names = {"alice": ALICE, "bob": BOB}
    facts = ChainFacts(balances=defaultdict(int, {names[name]: tokens for name, tokens in balances.items()}))
    report = Report()
    checks.check_balances(lines, facts, report)
    return report.findings


def test_balances_that_hold() -> None:
    """Open tokens are ordered and not yet on chain; a debit's are negative."""
    lines = (BalanceLine(4, ALICE, 5, 3, 2, 5, 0), BalanceLine(5, BOB, 5, 4, 0, 4, -1))
    assert of_balances(*lines, alice=5, bob=5) == []


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        (BalanceLine(4, ALICE, 6, 6, 0, 6, 0), Finding("balance", f"line 4 ({A})", "5", "6")),
        (BalanceLine(4, ALICE, 5, 5, 0, 6, 0), Finding("ledger", f"line 4 ({A}), lots", "5", "6")),
        (BalanceLine(4, ALICE, 5, 5, 1, 6, 0), Finding("ledger", f"line 4 ({A}), available + held", "5", "6")),
        (BalanceLine(4, ALICE, 5, 5, 0, 5, -1), Finding("ledger", f"line 4 ({A}), available + held", "4", "5")),
    ],
)
def test_a_balance_that_does_not_hold(line: BalanceLine, finding: Finding) -> None:
    assert of_balances(line, alice=5) == [finding]


def test_a_balance_told_twice_or_never() -> None:
    line = BalanceLine(4, ALICE, 5, 5, 0, 5, 0)
    assert of_balances(line, replace(line, line=5), alice=5) == [Finding("balance", f"line 5 ({A})", "once", "twice")]
    assert of_balances(alice=5) == [Finding("balance", A, "told by the trail: 5", "absent")]
    assert of_balances(bob=0) == []


def test_the_supply_identity() -> None:
    totals = {"issue": 20, "reverse": 3, "redeem": 4, "expire": 5}
    facts = ChainFacts(totals=defaultdict(int, totals), balances=defaultdict(int, {ALICE: 8}))
    right = {"issued": 20, "reversed": 3, "redeemed": 4, "expired": 5, "supply": 8}
    for name, value in right.items():
        report = Report()
        assert checks.check_supply(facts, {"totals": right}, report) == 8
        assert report.ok
        checks.check_supply(facts, {"totals": right | {name: value + 1}}, report)
        assert report.findings == [Finding("supply", f"manifest, {name}", str(value), str(value + 1))]
    facts.balances[BOB] = 1
    report = Report()
    checks.check_supply(facts, {"totals": right}, report)
    assert report.findings == [Finding("supply", "sum of balances", "8", "9")]
