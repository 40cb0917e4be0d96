"""The verification of one trail against one node, in the order in which later rules rest on earlier ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mereau_verify import checks
from mereau_verify.chain import read_facts
from mereau_verify.report import Report
from mereau_verify.rpc import Node, NodeError
from mereau_verify.trail import (
    LINES,
    BalanceLine,
    batches_and_balances,
    file_digest,
    read_manifest,
)

Progress = Callable[[str, int, int], None]
"""Called with (phase, done, all); phases are `chain`, `trail` and `proofs`."""


def verify(folder: Path, node: Node, progress: Progress) -> Report:
    """Check a trail. Raises TrailError where there is none, NodeError where the node does not answer."""
    report = Report()
    manifest = read_manifest(folder, report)
    try:
        return _verify(folder, manifest, node, report, progress)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        # The trail's own form was checked above or is a finding, so that only the node's answers can be at fault.
        message = f"{node.url} answers with what makes no sense: {error!r}"
        raise NodeError(message) from error


def _verify(folder: Path, manifest: dict[str, Any], node: Node, report: Report, progress: Progress) -> Report:
    chain, head = manifest["chain"], manifest["head"]
    digest = file_digest(folder)
    if digest != manifest["lines_sha256"]:
        report.add("digest", LINES, manifest["lines_sha256"], digest)
    report.figures.update(chain_id=chain["chain_id"], contract=chain["contract"], head_block=head["number"])
    header = checks.check_identity(node, manifest, report)
    if header is None:
        return report
    contract, block = chain["contract"], head["number"]
    code_hash = checks.check_code(node, contract, block, report)
    facts = read_facts(
        node, contract, chain["deployment_block"], block, lambda done, all_: progress("chain", done, all_)
    )
    checks.check_sequences(facts, report)

    seen: set[tuple[str, int | None, int]] = set()
    redeemed: set[bytes] = set()
    balances: list[BalanceLine] = []
    counts = {"batches": 0, "operations": 0}
    for item in batches_and_balances(folder, report):
        if isinstance(item, BalanceLine):
            balances.append(item)
            continue
        checks.check_batch(item, facts, seen, redeemed, report)
        counts["batches"] += 1
        counts["operations"] += len(item.operations)
        progress("trail", counts["batches"], len(facts.batches))
    checks.check_complete(facts, seen, redeemed, report)
    checks.check_balances(balances, facts, report)
    supply = checks.check_supply(facts, manifest, report)
    told = manifest["counts"]
    if told != {**counts, "balances": len(balances)}:
        report.add("completeness", "manifest, counts", {**counts, "balances": len(balances)}, told)
    wallets = checks.check_proofs(
        node, contract, header, code_hash, facts, report, lambda done, all_: progress("proofs", done, all_)
    )
    totals = facts.totals
    report.figures.update(
        **counts,
        transfers=facts.transfers,
        wallets=wallets,
        issued=totals["issue"],
        reversed=totals["reverse"],
        redeemed=totals["redeem"],
        expired=totals["expire"],
        supply=supply,
    )
    return report
