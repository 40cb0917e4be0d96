"""A forger's kit: single changes to an honest trail, each with the rule that must name it.

Digests and counts are made right again, so that only the chain and the form contradict.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.onchain import World, write_trail
from verify.replay import Lines, Replay, rules, verified

Change = Callable[[Lines], object]
ISSUE, FIRST, SECOND = 0, 1, 2
"""Places of the first issue and its first two operations."""


def put(place: int, name: str, value: object) -> Change:
    return lambda lines: lines[place].update({name: value})


def in_record(place: int, name: str, value: object) -> Change:
    return lambda lines: lines[place]["record"].update({name: value})


def both(place: int, name: str, value: object) -> Change:
    """The operation and its record say the same lie."""

    def change(lines: Lines) -> None:
        lines[place][name] = lines[place]["record"][name] = value

    return change


def nth(kind: str, offset: int = 0) -> Callable[[Lines], int]:
    """Place of a kind's first batch line, or of a line after it."""
    return lambda lines: next(at for at, line in enumerate(lines) if line.get("kind") == kind) + offset


def at(place: Callable[[Lines], int], name: str, value: object) -> Change:
    return lambda lines: lines[place(lines)].update({name: value})


def twice(kind: str, size: int) -> Change:
    """The whole batch again, right behind itself."""

    def change(lines: Lines) -> None:
        start = nth(kind)(lines)
        lines[start:start] = copy.deepcopy(lines[start : start + size])

    return change


def without(kind: str, size: int) -> Change:
    def change(lines: Lines) -> None:
        start = nth(kind)(lines)
        del lines[start : start + size]

    return change


def add(line: dict[str, Any]) -> Change:
    return lambda lines: lines.append(line)


def bump(name: str, more: int) -> Change:
    """A balance line's figure, moved."""
    return lambda lines: lines[-1].update({name: lines[-1][name] + more})


def void(sequence: int) -> dict[str, Any]:
    root = "0x" + "00" * 32
    return {
        "type": "batch", "kind": "issue", "partner": 1, "sequence": sequence, "root": root, "block": 1, "operations": 0,
    }  # fmt: skip


STRANGER = "0x" + "77" * 20
HASH = "0x" + "ab" * 32
NOBODYS = {"type": "balance", "wallet": STRANGER, "tokens": 0, "available": 0, "held": 0, "lots": 0, "open": 0}
BURN = nth("redeem", 1)
REDEEM, REVERSE, EXPIRE = nth("redeem"), nth("reverse"), nth("expire")

KIT: dict[str, tuple[Change, str]] = {
    "batch of another kind": (put(ISSUE, "kind", "reverse"), "completeness"),
    "batch of no kind": (put(ISSUE, "kind", "gift"), "format"),
    "batch of redemptions": (put(ISSUE, "kind", "redeem"), "redemption"),
    "batch of another partner": (put(ISSUE, "partner", 2), "completeness"),
    "batch of no partner": (put(ISSUE, "partner", None), "completeness"),
    "batch of another sequence": (put(ISSUE, "sequence", 7), "completeness"),
    "batch of the next sequence": (put(ISSUE, "sequence", 2), "root"),
    "batch without sequence": (put(ISSUE, "sequence", None), "format"),
    "batch without root": (put(ISSUE, "root", None), "format"),
    "batch with another root": (put(ISSUE, "root", HASH), "root"),
    "batch with a short root": (put(ISSUE, "root", "0xab"), "format"),
    "batch in capitals": (put(ISSUE, "root", "0x" + "AB" * 32), "format"),
    "batch in another block": (put(ISSUE, "block", 1), "completeness"),
    "batch of more operations": (put(ISSUE, "operations", 6), "completeness"),
    "batch of fewer operations": (put(ISSUE, "operations", 4), "completeness"),
    "batch of negative size": (put(ISSUE, "operations", -5), "format"),
    "batch with a word more": (put(ISSUE, "note", "x"), "format"),
    "batch with a word less": (lambda lines: lines[ISSUE].pop("block"), "format"),
    "index moved": (put(FIRST, "index", 1), "format"),
    "index negative": (put(FIRST, "index", -1), "format"),
    "index as truth": (put(SECOND, "index", True), "format"),
    "id changed": (put(FIRST, "id", "ent_other"), "root"),
    "id against its record": (put(FIRST, "id", "ent_other"), "record"),
    "id of half a character": (put(FIRST, "id", "\ud800"), "format"),
    "wallet changed": (put(FIRST, "wallet", STRANGER), "transfer"),
    "wallet changed with its record": (both(FIRST, "wallet", STRANGER), "root"),
    "wallet too long": (put(FIRST, "wallet", STRANGER + "00"), "format"),
    "wallet with a space": (put(FIRST, "wallet", "0x77 " + "77" * 19), "format"),
    "wallet nobody": (put(FIRST, "wallet", "0x" + "00" * 20), "transfer"),
    "tokens changed": (put(FIRST, "tokens", 101), "transfer"),
    "tokens changed with their record": (both(FIRST, "tokens", 101), "root"),
    "tokens none": (put(FIRST, "tokens", None), "format"),
    "tokens in parts": (put(FIRST, "tokens", 100.0), "format"),
    "tokens beyond a word": (put(FIRST, "tokens", 2**256), "format"),
    "tokens beyond the contract": (put(FIRST, "tokens", 2**64), "format"),
    "tokens of the largest kind": (put(FIRST, "tokens", 2**64 - 1), "transfer"),
    "commitment changed": (put(FIRST, "commitment", HASH), "record"),
    "commitment changed, root": (put(FIRST, "commitment", HASH), "root"),
    "commitment none": (put(FIRST, "commitment", None), "format"),
    "salt changed": (put(FIRST, "salt", "0x" + "ff" * 16), "record"),
    "salt lengthened": (lambda lines: lines[FIRST].update(salt=lines[FIRST]["salt"] + "00"), "record"),
    "salt hidden": (put(FIRST, "salt", None), "record"),
    "record hidden": (put(FIRST, "record", None), "record"),
    "record as text": (put(FIRST, "record", "{}"), "format"),
    "record empty": (put(FIRST, "record", {}), "record"),
    "record of another reason": (in_record(FIRST, "reason", "goodwill"), "record"),
    "record of another time": (in_record(FIRST, "at", "2020-01-01T00:00:00Z"), "record"),
    "record with tokens in parts": (in_record(FIRST, "tokens", 100.0), "record"),
    "record of no number": (in_record(FIRST, "tokens", float("nan")), "format"),
    "record of another partner": (in_record(FIRST, "partner", 2), "record"),
    "record with a word more": (in_record(FIRST, "note", None), "record"),
    "operations exchanged": (lambda lines: lines.insert(1, lines.pop(2)), "format"),
    "operation gone": (lambda lines: lines.pop(2), "root"),
    "operation twice": (lambda lines: lines.insert(2, copy.deepcopy(lines[1])), "transfer"),
    "operation before any batch": (lambda lines: lines.insert(0, lines.pop(1)), "format"),
    "operation behind balances": (lambda lines: lines.append(lines.pop(1)), "format"),
    "issue gone": (without("issue", 6), "completeness"),
    "issue twice": (twice("issue", 6), "completeness"),
    "reversal gone": (without("reverse", 3), "completeness"),
    "reversal twice": (twice("reverse", 3), "completeness"),
    "reversal told as expiry": (at(REVERSE, "kind", "expire"), "completeness"),
    "expiry gone": (without("expire", 2), "completeness"),
    "expiry twice": (twice("expire", 2), "completeness"),
    "expiry of a partner": (at(EXPIRE, "partner", 1), "completeness"),
    "expiry of tokens more": (at(nth("expire", 1), "tokens", 41), "transfer"),
    "void that never was": (add(void(9)), "completeness"),
    "redemption gone": (without("redeem", 2), "completeness"),
    "redemption twice": (twice("redeem", 2), "completeness"),
    "redemption of another block": (at(REDEEM, "block", 1), "completeness"),
    "redemption with a partner": (at(REDEEM, "partner", 1), "format"),
    "redemption with a sequence": (at(REDEEM, "sequence", 1), "format"),
    "redemption with a root": (at(REDEEM, "root", HASH), "format"),
    "redemptions of nobody": (add(void(1) | dict.fromkeys(("partner", "sequence", "root")) | {"kind": "redeem"}),
                              "format"),
    "redemption of tokens more": (at(BURN, "tokens", 31), "redemption"),
    "redemption by a stranger": (at(BURN, "wallet", STRANGER), "redemption"),
    "redemption of another commitment": (at(BURN, "commitment", HASH), "redemption"),
    "redemption without salt": (at(BURN, "salt", None), "record"),
    "balance raised": (bump("tokens", 1), "balance"),
    "balance raised, open": (bump("open", 1), "ledger"),
    "balance available": (bump("available", 1), "ledger"),
    "balance held": (bump("held", 1), "ledger"),
    "balance lots": (bump("lots", -1), "ledger"),
    "balance of a stranger": (lambda lines: lines[-1].update(wallet=STRANGER), "balance"),
    "balance negative": (lambda lines: lines[-1].update(tokens=-1), "format"),
    "balance as text": (lambda lines: lines[-1].update(tokens="1"), "format"),
    "balance gone": (lambda lines: lines.pop(), "balance"),
    "balance twice": (lambda lines: lines.append(lines[-1]), "balance"),
    "nobody's balance twice": (lambda lines: lines.extend([NOBODYS, NOBODYS]), "balance"),
    "line of no type": (add({"type": "note"}), "format"),
    "line without type": (add({}), "format"),
    "line of a list as type": (add({"type": []}), "format"),
    "everything gone": (lambda lines: lines.clear(), "completeness"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "rule"), KIT.values(), ids=KIT.keys())
def test_a_single_change_is_named(
    change: Change, rule: str, history: tuple[World, Lines, dict[str, Any]], tmp_path: Path, replay: Replay
) -> None:
    _, lines, manifest = history
    forged = copy.deepcopy(lines)
    change(forged)
    assert rule in rules(verified(write_trail(tmp_path, forged, manifest), replay.url))


def test_an_empty_wallet_may_be_told(
    history: tuple[World, Lines, dict[str, Any]], tmp_path: Path, replay: Replay
) -> None:
    """The kit's twins: what claims nothing false is no finding."""
    _, lines, manifest = history
    assert verified(write_trail(tmp_path, [*lines, NOBODYS], manifest), replay.url).findings == []


def test_an_erased_operation_may_be_told(
    history: tuple[World, Lines, dict[str, Any]], tmp_path: Path, replay: Replay
) -> None:
    """Without salt and record the leaf still binds id, wallet, tokens and place."""
    _, lines, manifest = history
    erased = [line | dict.fromkeys(("salt", "record")) if line["type"] == "operation" else line for line in lines]
    assert verified(write_trail(tmp_path, erased, manifest), replay.url).findings == []


MANIFEST_KIT: dict[str, tuple[str, str, object, str]] = {
    "another chain": ("chain", "chain_id", 1, "identity"),
    "another genesis": ("chain", "genesis_hash", HASH, "identity"),
    "another deployment": ("chain", "deployment_hash", HASH, "identity"),
    "an earlier deployment": ("chain", "deployment_block", 0, "identity"),
    "another head": ("head", "hash", HASH, "identity"),
    "the head's hash one block earlier": ("head", "number", 1, "identity"),
    "another contract": ("chain", "contract", STRANGER, "bytecode"),
    "more issued": ("totals", "issued", 561, "supply"),
    "less reversed": ("totals", "reversed", 0, "supply"),
    "more redeemed": ("totals", "redeemed", 36, "supply"),
    "less expired": ("totals", "expired", 39, "supply"),
    "another supply": ("totals", "supply", 363, "supply"),
    "an empty genesis": ("chain", "genesis_hash", "", "identity"),
}


@pytest.mark.parametrize(("part", "name", "value", "rule"), MANIFEST_KIT.values(), ids=MANIFEST_KIT.keys())
def test_a_single_change_of_the_manifest_is_named(
    part: str, name: str, value: object, rule: str,
    history: tuple[World, Lines, dict[str, Any]], tmp_path: Path, replay: Replay,
) -> None:  # fmt: skip
    _, lines, manifest = history
    forged = copy.deepcopy(manifest)
    forged[part][name] = value
    assert rule in rules(verified(write_trail(tmp_path, lines, forged), replay.url))


@pytest.mark.parametrize("skipped", [2, 3])
def test_history_before_a_later_deployment_is_missed(
    skipped: int, history: tuple[World, Lines, dict[str, Any]], tmp_path: Path, replay: Replay
) -> None:
    """A deployment told too late, with that block's true hash, hides the first orders: their sequences are missing."""
    world, lines, manifest = history
    block = world.w3.eth.get_block(manifest["chain"]["deployment_block"] + 1 + skipped)
    later = manifest["chain"] | {"deployment_block": block["number"], "deployment_hash": block["hash"].to_0x_hex()}
    forged = write_trail(tmp_path, lines, manifest | {"chain": later})
    assert {"sequence", "balance", "proof"} <= rules(verified(forged, replay.url))


def test_an_older_head_hides_nothing_that_the_trail_tells(
    history: tuple[World, Lines, dict[str, Any]], tmp_path: Path, replay: Replay
) -> None:
    world, lines, manifest = history
    block = world.w3.eth.get_block(manifest["head"]["number"] - 1)
    head = {"number": block["number"], "hash": block["hash"].to_0x_hex()}
    report = verified(write_trail(tmp_path, lines, manifest | {"head": head}), replay.url)
    assert rules(report) == {"completeness", "balance", "supply"}
