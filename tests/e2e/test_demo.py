"""The demo from beginning to end, and what it refuses to touch."""

import json
from pathlib import Path

from e2e.harness import members_of, mereau, mereau_json, stack_on


def test_the_story_holds_and_can_be_told_again(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    arguments = ("demo", "--no-serve", "--data-dir", str(home), "--port", "0", "--chain-port", "0")
    told = mereau_json(*arguments)
    assert told["ok"]
    assert (told["sales_recorded"], told["returns_recorded"], told["members"]) == (392, 65, 87)
    assert (told["redemptions_granted"], told["voucher_used"], told["verified"]) == (3, True, True)
    expected = told["tokens_credited"] - told["tokens_reversed"] - told["tokens_redeemed"]
    assert (told["supply_tokens"], told["drift_tokens"]) == (expected, 0)
    assert Path(told["operator_key_file"]).exists()
    assert members_of(home) == set()

    manifest = json.loads((home / "trail" / "manifest.json").read_text())
    assert manifest["totals"]["supply"] == expected

    # A trail that somebody changed afterwards no longer holds: the same data, served again.
    trail = home / "trail" / "trail.jsonl"
    trail.write_text(trail.read_text().replace('"tokens":250', '"tokens":251', 1))
    with stack_on(home) as (_, state):
        assert verify(home / "trail", state["chain_url"]) == 1
        mereau("trail", "export", str(home / "trail"), "--data-dir", str(home))
        assert verify(home / "trail", state["chain_url"]) == 0


def verify(folder: Path, chain_url: str) -> int:
    import subprocess
    import sys

    program = "from mereau_verify.cli import main; main()"
    command = [sys.executable, "-c", program, str(folder), "--rpc", chain_url, "--json"]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_a_directory_of_somebody_elses_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("precious")
    words = mereau("demo", "--no-serve", "--data-dir", str(tmp_path), expect=2)
    assert "no Mereau demo" in words
    assert (tmp_path / "letter").read_text() == "precious"
