"""The verifier over a history made on the real chain by another client, honest and then tampered with."""

import copy
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.onchain import World, canonical, write_trail
from mereau_verify.rpc import NodeError
from mereau_verify.trail import TrailError
from verify.replay import Lines, verified


def test_an_honest_trail_holds(honest: Path, chain_url: str) -> None:
    report = verified(honest, chain_url)
    assert report.findings == []
    assert report.figures["operations"] == 11
    assert report.figures["wallets"] == 5
    assert (report.figures["issued"], report.figures["reversed"]) == (560, 121)
    assert (report.figures["redeemed"], report.figures["expired"], report.figures["supply"]) == (35, 40, 364)


def first(lines: Lines, type_: str, /, **wanted: object) -> dict[str, Any]:
    return next(
        line for line in lines if line["type"] == type_ and all(line[name] == value for name, value in wanted.items())
    )


def change_tokens(lines: Lines) -> None:
    line = first(lines, "operation")
    line["tokens"] += 1
    line["record"]["tokens"] += 1


def change_record_only(lines: Lines) -> None:
    first(lines, "operation")["record"]["reason"] = "goodwill"


def change_operation_amount_only(lines: Lines) -> None:
    first(lines, "operation")["tokens"] += 1


def change_salt(lines: Lines) -> None:
    first(lines, "operation")["salt"] = "0x" + "ff" * 16


def change_commitment(lines: Lines) -> None:
    first(lines, "operation")["commitment"] = "0x" + "ab" * 32


def change_owner(lines: Lines) -> None:
    line = first(lines, "operation")
    line["wallet"] = line["record"]["wallet"] = "0x" + "77" * 20


def change_root(lines: Lines) -> None:
    first(lines, "batch")["root"] = "0x" + "01" * 32


def change_block(lines: Lines) -> None:
    first(lines, "batch")["block"] += 1


def swap_operations(lines: Lines) -> None:
    lines[1]["index"], lines[2]["index"] = lines[2]["index"], lines[1]["index"]
    lines[1], lines[2] = lines[2], lines[1]


def drop_batch(lines: Lines) -> None:
    start = lines.index(first(lines, "batch", kind="reverse"))
    del lines[start : start + 3]


def double_batch(lines: Lines) -> None:
    start = lines.index(first(lines, "batch", kind="reverse"))
    lines[start:start] = copy.deepcopy(lines[start : start + 3])


def invent_batch(lines: Lines) -> None:
    start = lines.index(first(lines, "batch", sequence=2))
    extra = copy.deepcopy(lines[start : start + 2])
    extra[0]["sequence"] = 99
    lines[start:start] = extra


def drop_operation(lines: Lines) -> None:
    del lines[2]


def drop_redemption(lines: Lines) -> None:
    start = lines.index(first(lines, "batch", kind="redeem"))
    del lines[start : start + 2]


def change_redemption(lines: Lines) -> None:
    start = lines.index(first(lines, "batch", kind="redeem"))
    lines[start + 1]["tokens"] += 1


def change_redemption_partner(lines: Lines) -> None:
    start = lines.index(first(lines, "batch", kind="redeem"))
    lines[start + 1]["record"]["partner"] = 2


def invent_redemption(lines: Lines) -> None:
    start = lines.index(first(lines, "batch", kind="redeem"))
    extra = copy.deepcopy(lines[start : start + 2])
    extra[1]["commitment"] = "0x" + "cd" * 32
    lines[start:start] = extra


def change_balance(lines: Lines) -> None:
    line = first(lines, "balance")
    for name in ("tokens", "available", "lots"):
        line[name] += 1


def change_available(lines: Lines) -> None:
    first(lines, "balance")["available"] += 1


def change_lots(lines: Lines) -> None:
    first(lines, "balance")["lots"] += 1


def hide_open_tokens(lines: Lines) -> None:
    first(lines, "balance")["open"] -= 3


def drop_balance(lines: Lines) -> None:
    lines.remove(first(lines, "balance"))


def double_balance(lines: Lines) -> None:
    lines.append(copy.deepcopy(first(lines, "balance")))


def orphan_operation(lines: Lines) -> None:
    lines.append(copy.deepcopy(first(lines, "operation")))


def unseal_batch(lines: Lines) -> None:
    first(lines, "batch")["root"] = None


TAMPERINGS: list[tuple[Callable[[Lines], None], str]] = [
    (change_tokens, "root"), (change_record_only, "record"), (change_operation_amount_only, "transfer"),
    (change_salt, "record"), (change_commitment, "root"), (change_owner, "transfer"), (change_root, "root"),
    (change_block, "completeness"), (swap_operations, "transfer"), (drop_batch, "completeness"),
    (double_batch, "completeness"), (invent_batch, "completeness"), (drop_operation, "root"),
    (drop_redemption, "completeness"), (change_redemption, "redemption"),
    (change_redemption_partner, "redemption"), (invent_redemption, "redemption"), (change_balance, "balance"),
    (change_available, "ledger"), (change_lots, "ledger"), (hide_open_tokens, "ledger"),
    (drop_balance, "balance"), (double_balance, "balance"), (orphan_operation, "format"), (unseal_batch, "format"),
]  # fmt: skip


@pytest.mark.parametrize(("tamper", "rule"), TAMPERINGS, ids=lambda value: getattr(value, "__name__", value))
def test_a_careful_forger_is_named(
    tamper: Callable[[Lines], None],
    rule: str,
    history: tuple[World, Lines, dict[str, Any]],
    tmp_path: Path,
    chain_url: str,
) -> None:
    """The forger recomputes every digest; the chain still contradicts."""
    _, lines, manifest = history
    forged = copy.deepcopy(lines)
    tamper(forged)
    report = verified(write_trail(tmp_path, forged, manifest), chain_url)
    assert rule in {finding.rule for finding in report.findings}


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("chain", "chain_id"), 1, "identity"), (("chain", "genesis_hash"), "0x" + "00" * 32, "identity"),
        (("chain", "deployment_hash"), "0x" + "00" * 32, "identity"), (("head", "hash"), "0x" + "00" * 32, "identity"),
        (("totals", "issued"), 561, "supply"), (("totals", "supply"), 0, "supply"),
        (("totals", "redeemed"), 0, "supply"),
    ],
)  # fmt: skip
def test_a_forged_manifest_is_named(
    path: tuple[str, str],
    value: object,
    rule: str,
    history: tuple[World, Lines, dict[str, Any]],
    tmp_path: Path,
    chain_url: str,
) -> None:
    _, lines, manifest = history
    forged = copy.deepcopy(manifest)
    forged[path[0]][path[1]] = value
    report = verified(write_trail(tmp_path, lines, forged), chain_url)
    assert rule in {finding.rule for finding in report.findings}


def test_another_contract_is_named(
    history: tuple[World, Lines, dict[str, Any]], tmp_path: Path, chain_url: str
) -> None:
    """Pointing at an address without Mereau's code fails on the code, before anything else."""
    _, lines, manifest = history
    forged = copy.deepcopy(manifest)
    forged["chain"]["contract"] = "0x" + "12" * 20
    report = verified(write_trail(tmp_path, lines, forged), chain_url)
    assert report.findings[0].rule == "bytecode"


@pytest.mark.parametrize("name", ["trail.jsonl", "manifest.json"])
def test_any_changed_byte_is_named(name: str, honest: Path, chain_url: str) -> None:
    """One random bit at a time, over the whole file; digests are left as they were."""
    path, chooser = honest / name, random.Random(20826)  # a fixed seed, kept
    original = path.read_bytes()
    for place in chooser.sample(range(len(original)), 25):
        changed = bytearray(original)
        changed[place] ^= 1 << chooser.randrange(8)
        path.write_bytes(changed)
        try:
            report = verified(honest, chain_url)
        except TrailError:
            continue
        assert report.findings, f"byte {place} changed from {original[place]} to {changed[place]}"
    path.write_bytes(original)
    assert verified(honest, chain_url).ok


def test_another_chain_is_refused(honest: Path, history: tuple[World, Lines, dict[str, Any]], tmp_path: Path) -> None:
    """A second node with the same chain id and another genesis: nothing but identity is said."""
    from fixtures.chain import CHAIN_ID, free_port, wait_for_node

    port = free_port()
    program = (
        "import sys, pathlib; from mereau.chain.embedded import serve; "
        "serve(pathlib.Path(sys.argv[1]), port=int(sys.argv[2]), chain_id=int(sys.argv[3]), funded=[sys.argv[4]])"
    )
    arguments = [str(tmp_path / "other"), str(port), str(CHAIN_ID), "0x" + "01" * 20]
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program, *arguments], stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_node(url, process)
        manifest = json.loads((honest / "manifest.json").read_text())
        forged = {**manifest, "head": {"number": 0, "hash": manifest["chain"]["genesis_hash"]}}
        forged["chain"] = {**manifest["chain"], "deployment_block": 0}
        lines = [json.loads(line) for line in (honest / "trail.jsonl").read_text().splitlines()]
        report = verified(write_trail(tmp_path / "forged", lines, forged), url)
        assert {finding.rule for finding in report.findings} == {"identity"}
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_an_unreachable_node_is_an_error_not_a_verdict(honest: Path) -> None:
    with pytest.raises(NodeError, match="does not answer"):
        verified(honest, "http://127.0.0.1:9")


@pytest.mark.parametrize("spoil", ["missing", "garbage", "foreign", "incomplete", "no lines"])
def test_no_trail_no_verdict(spoil: str, honest: Path, chain_url: str) -> None:
    manifest = honest / "manifest.json"
    if spoil == "missing":
        manifest.unlink()
    elif spoil == "garbage":
        manifest.write_text("{")
    elif spoil == "foreign":
        manifest.write_text(canonical({"format": "something else"}))
    elif spoil == "incomplete":
        manifest.write_text(canonical({"format": "mereau-trail", "version": 1}) + "\n")
    else:
        (honest / "trail.jsonl").unlink()
    with pytest.raises(TrailError):
        verified(honest, chain_url)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from mereau_verify.cli import run; sys.exit(run(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )  # fmt: skip


def test_the_command_says_yes(honest: Path, chain_url: str) -> None:
    result = command(str(honest), "--rpc", chain_url, LANG="fr_FR.UTF-8")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Tout concorde" in result.stdout
    assert "364" in result.stdout


def test_the_command_says_no(honest: Path, chain_url: str) -> None:
    with (honest / "trail.jsonl").open("a") as stream:
        stream.write("{}\n")
    result = command(str(honest), "--rpc", chain_url, "--lang", "en")
    assert result.returncode == 1
    assert "[format]" in result.stdout
    assert "[digest]" in result.stdout
    assert "does not follow from the chain" in result.stdout


def test_the_command_speaks_json(honest: Path, chain_url: str) -> None:
    result = command(str(honest), "--rpc", chain_url, "--json")
    answer = json.loads(result.stdout)
    assert answer["ok"] is True
    assert answer["figures"]["supply"] == 364


def test_the_command_explains_what_it_lacks(tmp_path: Path, chain_url: str) -> None:
    result = command(str(tmp_path), "--rpc", chain_url)
    assert result.returncode == 2
    assert "mereau trail export" in result.stderr


def test_the_verifier_loads_nothing_of_the_server() -> None:
    program = (
        "import sys, mereau_verify.cli; "
        "sys.exit(any(name.split('.')[0] in {'mereau', 'sqlalchemy', 'fastapi'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
