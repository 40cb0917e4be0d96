"""The rules: each compares what the trail says with what the chain shows, and names every difference."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from mereau_verify.chain import (
    BALANCE_MASK,
    ZERO,
    ChainBatch,
    ChainFacts,
    balance_slot,
    code_matches,
    storage_place,
    verified_header,
)
from mereau_verify.evm import from_hex, keccak, to_int
from mereau_verify.merkle import leaf_hash, merkle_root
from mereau_verify.mpt import ProofError, proven_account, proven_word
from mereau_verify.report import Report
from mereau_verify.rpc import Node
from mereau_verify.trail import BalanceLine, Operation, TrailBatch, canonical

PROOF_SLOTS: Final = 200
_NO_ROOT: Final = bytes(32)


def check_identity(node: Node, manifest: dict[str, Any], report: Report) -> dict[str, str] | None:
    """Chain id, genesis, deployment block and head are those of the manifest; else nothing else counts.

    Returns the head's header, hashed here, on which the state proofs rest; None after any finding.
    """
    chain, head = manifest["chain"], manifest["head"]
    before = len(report.findings)
    seen_id = to_int(node.call("eth_chainId"))
    if seen_id != chain["chain_id"]:
        report.add("identity", "chain id", chain["chain_id"], seen_id)
    blocks = (
        ("genesis", 0, chain["genesis_hash"]),
        ("deployment block", chain["deployment_block"], chain["deployment_hash"]),
        ("head", head["number"], head["hash"]),
    )
    header: dict[str, str] | None = None
    for name, number, expected in blocks:
        header = verified_header(node, number)
        if header is None:
            report.add("identity", name, "a header that hashes to its hash", "another header")
        elif header["hash"] != expected:
            report.add("identity", name, expected, header["hash"])
    return header if len(report.findings) == before else None


def check_code(node: Node, contract: str, block: int, report: Report) -> bytes:
    """The deployed bytecode is the reproducible build, immutables masked. Returns its hash, for the proof."""
    code = from_hex(node.call("eth_getCode", contract, hex(block)))
    if not code_matches(code):
        report.add("bytecode", contract, "the build of LoyaltyToken.sol", f"{len(code)} bytes of other code")
    return keccak(code)


def check_sequences(facts: ChainFacts, report: Report) -> None:
    """Each partner's line, and expiry's, counts 1, 2, 3 ... on chain; every mint and burn has its order and sum."""
    lines: defaultdict[tuple[str, int | None], list[int]] = defaultdict(list)
    for batch in facts.batches.values():
        lines["expiry" if batch.partner is None else "partner", batch.partner].append(batch.sequence)
        moved = sum(transfer.tokens for transfer in batch.transfers)
        if moved != batch.total:
            report.add("supply", f"{batch.kind} {batch.partner}/{batch.sequence}, total", moved, batch.total)
    for (kind, partner), sequences in lines.items():
        expected = list(range(1, len(sequences) + 1))
        if sorted(sequences) != expected:
            gap = next(want for want, have in zip(expected, sorted(sequences), strict=True) if want != have)
            report.add("sequence", f"{kind} {partner or ''}".strip(), f"sequence {gap}", "a gap or a double")
    for place in facts.doubled:
        report.add("sequence", place, "once", "twice")
    for transaction in facts.lost:
        report.add("completeness", f"transaction {transaction}", "orders that match its mints and burns", "others")


def check_record(operation: Operation, batch: TrailBatch, report: Report) -> None:
    """A disclosed record hashes, with its salt, to the commitment, and says what its operation says."""
    place, record = f"line {operation.line}", operation.record
    if record is None or operation.salt is None:
        if (record is None) != (operation.salt is None):
            report.add("record", f"{place} ({operation.id})", "record and salt, or neither", "one of them")
        return
    encoded = canonical(record).encode()
    commitment = keccak(operation.salt + encoded)
    if commitment != operation.commitment:
        report.add("record", f"{place} ({operation.id})", f"0x{operation.commitment.hex()}", f"0x{commitment.hex()}")
    told = {
        "id": operation.id,
        "kind": batch.kind,
        "wallet": f"0x{operation.wallet.hex()}",
        "tokens": operation.tokens,
    }
    for name, value in told.items():
        if json.dumps(record.get(name)) != json.dumps(value):
            report.add("record", f"{place} ({operation.id}, {name})", json.dumps(value), json.dumps(record.get(name)))
    if batch.partner is not None and json.dumps(record.get("partner")) != json.dumps(batch.partner):
        report.add("record", f"{place} ({operation.id}, partner)", batch.partner, record.get("partner"))


def check_batch(
    batch: TrailBatch,
    facts: ChainFacts,
    seen: set[tuple[str, int | None, int]],
    redeemed: set[bytes],
    report: Report,
) -> None:
    """A batch of the trail against the order that the chain executed: root, leaves, Transfers, records.

    `seen` and `redeemed` gather the executed batches and redemptions that the trail told.
    """
    if len(batch.operations) != batch.expected:
        report.add("completeness", batch.place, f"{batch.expected} operations", len(batch.operations))
    for position, operation in enumerate(batch.operations):
        if operation.index != position:
            report.add("format", f"line {operation.line}", f"index {position}", f"index {operation.index}")
        check_record(operation, batch, report)
    if batch.kind == "redeem":
        check_redemptions(batch, facts, redeemed, report)
        return
    if batch.sequence is None or batch.root is None:
        report.add("format", batch.place, "a sequence and a root", "none")
        return
    key = (batch.kind, batch.partner, batch.sequence)
    executed = facts.batches.get(key)
    if executed is None or key in seen:
        report.add(
            "completeness",
            batch.place,
            "executed on chain once",
            "told twice" if key in seen else "not there",
        )
        return
    seen.add(key)
    _compare_batch(batch, executed, report)


def _compare_batch(batch: TrailBatch, executed: ChainBatch, report: Report) -> None:
    if batch.block != executed.block:
        report.add("completeness", f"{batch.place}, block", executed.block, batch.block)
    leaves = [
        leaf_hash(keccak(op.id.encode()), op.commitment, op.wallet, op.tokens, op.index) for op in batch.operations
    ]
    root = merkle_root(leaves)
    if root != executed.root:
        report.add("root", batch.place, f"0x{executed.root.hex()} (chain)", f"0x{root.hex()} (recomputed)")
    if batch.root != executed.root:
        report.add("root", f"{batch.place}, root", f"0x{executed.root.hex()}", f"0x{(batch.root or b'').hex()}")
    if len(executed.transfers) != len(batch.operations):
        report.add(
            "transfer",
            batch.place,
            f"{len(executed.transfers)} Transfers",
            f"{len(batch.operations)} operations",
        )
    for operation, transfer in zip(batch.operations, executed.transfers, strict=False):
        holder = transfer.target if batch.kind == "issue" else transfer.source
        other = transfer.source if batch.kind == "issue" else transfer.target
        if (holder, other, transfer.tokens) != (operation.wallet, ZERO, operation.tokens):
            report.add(
                "transfer",
                f"line {operation.line} ({operation.id})",
                f"{transfer.tokens} for 0x{holder.hex()}",
                f"{operation.tokens} for 0x{operation.wallet.hex()}",
            )


def check_redemptions(batch: TrailBatch, facts: ChainFacts, redeemed: set[bytes], report: Report) -> None:
    """Each redemption of the trail is a Redeemed event, once, with the same block, holder, amount and partner."""
    if (batch.partner, batch.sequence, batch.root) != (None, None, None) or not batch.operations:
        report.add("format", batch.place, "redemptions, without partner, sequence and root", "something else")
    for operation in batch.operations:
        place = f"line {operation.line} ({operation.id})"
        executed = facts.redemptions.get(operation.commitment)
        if executed is None:
            report.add("redemption", place, "a Redeemed event with this commitment", "none")
            continue
        if operation.commitment in redeemed:
            report.add("completeness", place, "executed on chain once", "told twice")
        redeemed.add(operation.commitment)
        if batch.block != executed.block:
            report.add("completeness", f"{place}, block", executed.block, batch.block)
        partner = operation.record.get("partner") if operation.record else executed.partner
        told = (operation.wallet, operation.tokens, partner)
        if told != (executed.member, executed.tokens, executed.partner):
            report.add(
                "redemption",
                place,
                f"{executed.tokens} of 0x{executed.member.hex()} at partner {executed.partner}",
                f"{operation.tokens} of 0x{operation.wallet.hex()} at partner {partner}",
            )


def check_complete(
    facts: ChainFacts, seen: set[tuple[str, int | None, int]], redeemed: set[bytes], report: Report
) -> None:
    """Nothing happened on chain that the trail does not tell; a voided sequence needs no telling."""
    for key, batch in facts.batches.items():
        if key not in seen and (batch.transfers or batch.root != _NO_ROOT):
            report.add(
                "completeness",
                f"{key[0]} {key[1]}/{key[2]} in block {batch.block}",
                "told by the trail",
                "absent",
            )
    for reference, redemption in facts.redemptions.items():
        if reference not in redeemed:
            report.add(
                "completeness",
                f"redemption 0x{reference.hex()} in block {redemption.block}",
                "told by the trail",
                "absent",
            )


def check_balances(lines: Iterable[BalanceLine], facts: ChainFacts, report: Report) -> None:
    """The mirror's balance of each wallet is the replay's, and the ledger's figures add up to it."""
    told = {}
    for line in lines:
        place = f"line {line.line} (0x{line.wallet.hex()})"
        if line.wallet in told:
            report.add("balance", place, "once", "twice")
        told[line.wallet] = line
        replayed = facts.balances.get(line.wallet, 0)
        if line.tokens != replayed:
            report.add("balance", place, replayed, line.tokens)
        if line.available + line.held != line.lots:
            report.add("ledger", f"{place}, lots", line.available + line.held, line.lots)
        if line.tokens + line.open != line.available + line.held:
            report.add("ledger", f"{place}, available + held", line.tokens + line.open, line.available + line.held)
    for wallet, tokens in facts.balances.items():
        if tokens and wallet not in told:
            report.add("balance", f"0x{wallet.hex()}", f"told by the trail: {tokens}", "absent")


def check_supply(facts: ChainFacts, manifest: dict[str, Any], report: Report) -> int:
    """Issued - reversed - redeemed - expired = sum of balances = the manifest's; returns the supply."""
    totals = facts.totals
    supply = totals["issue"] - totals["reverse"] - totals["redeem"] - totals["expire"]
    if sum(facts.balances.values()) != supply:
        report.add("supply", "sum of balances", supply, sum(facts.balances.values()))
    named = {"issued": "issue", "reversed": "reverse", "redeemed": "redeem", "expired": "expire"}
    for name, kind in named.items():
        if manifest["totals"].get(name) != totals[kind]:
            report.add("supply", f"manifest, {name}", totals[kind], manifest["totals"].get(name))
    if manifest["totals"].get("supply") != supply:
        report.add("supply", "manifest, supply", supply, manifest["totals"].get("supply"))
    return supply


def check_proofs(
    node: Node,
    contract: str,
    header: dict[str, str],
    code_hash: bytes,
    facts: ChainFacts,
    report: Report,
    progress: Callable[[int, int], None],
) -> int:
    """The code, every balance and the supply, proven against the state root of a header hashed here.

    Returns the wallets asked about.
    """
    block, state_root, address = to_int(header["number"]), from_hex(header["stateRoot"]), from_hex(contract)
    supply_slot, supply_mask = storage_place("_totalSupply")
    accounts_slot, _ = storage_place("_accounts")
    expected = {supply_slot.to_bytes(32, "big"): ("totalSupply", sum(facts.balances.values()), supply_mask)}
    for wallet, tokens in facts.balances.items():
        expected[balance_slot(wallet, accounts_slot)] = (f"0x{wallet.hex()}", tokens, BALANCE_MASK)
    slots = list(expected)
    for start in range(0, len(slots), PROOF_SLOTS):
        part = slots[start : start + PROOF_SLOTS]
        answer = node.proof(contract, part, block)
        try:
            nodes = [from_hex(text) for text in answer["accountProof"]]
            storage_root, proven_code = proven_account(state_root, address, nodes)
            if proven_code != code_hash and not start:
                report.add("bytecode", f"{contract}, proven", f"0x{proven_code.hex()}", f"0x{code_hash.hex()}")
            for slot, proof in zip(part, answer["storageProof"], strict=True):
                place, tokens, mask = expected[slot]
                word = proven_word(storage_root, slot, [from_hex(text) for text in proof["proof"]])
                if word & mask != tokens:
                    report.add("proof", place, f"{tokens} (replay)", f"{word & mask} (proven state)")
        except (ProofError, ValueError, KeyError, TypeError, AttributeError) as error:
            report.add("proof", f"block {block}, slots {start} to {start + len(part)}", "a valid state proof", error)
        progress(min(start + PROOF_SLOTS, len(slots)), len(slots))
    return len(facts.balances)
