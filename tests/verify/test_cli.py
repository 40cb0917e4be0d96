"""The command as a process: its languages, its exit codes, what goes to which stream."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.onchain import canonical
from mereau_verify.cli import main, run
from verify.replay import Raw, Refusal, Replay

PROGRAM = "from mereau_verify.cli import main; main()"


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, encoding="utf-8", check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "french"),
    [
        ({"LANG": "fr_CH.UTF-8"}, True), ({"LANG": "de_CH.UTF-8"}, False), ({}, False),
        ({"LANG": "fr_FR", "LC_ALL": "en_GB"}, False), ({"LANG": "en_GB", "LC_MESSAGES": "FR"}, True),
    ],
)  # fmt: skip
def test_the_language_is_the_environments(
    environment: dict[str, str], french: bool, honest: Path, replay: Replay
) -> None:
    result = command(str(honest), "--rpc", replay.url, **environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("Tout concorde" in result.stdout) is french
    assert ("All holds" in result.stdout) is not french


@pytest.mark.parametrize(("language", "verdict"), [("fr", "Tout concorde"), ("en", "All holds")])
def test_the_language_asked_for_wins(language: str, verdict: str, honest: Path, replay: Replay) -> None:
    other = {"fr": "en_GB.UTF-8", "en": "fr_FR.UTF-8"}[language]
    assert verdict in command(str(honest), "--rpc", replay.url, "--lang", language, LC_ALL=other).stdout


@pytest.mark.parametrize(
    "arguments", [[], ["folder"], ["--rpc", "http://x"], ["a", "b", "--rpc", "x"], ["a", "--rpc", "x", "--lang", "de"]]
)
def test_bad_arguments_are_explained(arguments: list[str]) -> None:
    result = command(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "usage: mereau-verify" in result.stderr


def test_help_names_the_exit_codes() -> None:
    result = command("--help")
    assert result.returncode == 0
    assert all(text in result.stdout for text in ("0 all holds", "1 at least one finding", "2 the verification"))


def test_findings_as_json(honest: Path, replay: Replay) -> None:
    with replay.lying(lambda method, _, result: "0x1" if method == "eth_chainId" else result) as url:
        result = command(str(honest), "--rpc", url, "--json", "--lang", "fr")
    assert (result.returncode, result.stderr) == (1, "")
    answer = json.loads(result.stdout)
    assert answer["findings"] == [{"rule": "identity", "place": "chain id", "expected": "20826", "found": "1"}]


@pytest.mark.parametrize("as_json", [True, False])
def test_errors_go_to_standard_error(as_json: bool, honest: Path, replay: Replay) -> None:
    """The node's words cannot steer the terminal."""
    with replay.lying(lambda *_: Refusal("busy\x1b[2J\nAll holds")) as url:
        result = command(str(honest), "--rpc", url, *(["--json"] if as_json else []))
    assert (result.returncode, result.stdout) == (2, "")
    assert "\x1b" not in result.stderr
    (line,) = result.stderr.splitlines()
    told = json.loads(line) if as_json else {"ok": False, "error": line.removeprefix("mereau-verify: ")}
    assert told["ok"] is False
    assert "refuses eth_chainId" in told["error"]


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_is_none(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = command(str(tmp_path / folder), "--rpc", "http://127.0.0.1:9")
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["manifest.json", "trail.jsonl"])
def test_deep_nesting_is_refused(name: str, honest: Path, replay: Replay) -> None:
    """In a manifest it is no trail, in a line a finding; never a traceback."""
    (honest / name).write_text("[" * 100_000 + "\n")
    result = command(str(honest), "--rpc", replay.url)
    assert result.returncode == (2 if name == "manifest.json" else 1)
    assert "Traceback" not in result.stderr


def test_a_deeply_nested_answer_is_no_answer(honest: Path, replay: Replay) -> None:
    with replay.lying(lambda *_: Raw(200, b"[" * 100_000)) as url:
        result = command(str(honest), "--rpc", url)
    assert result.returncode == 2
    assert "does not answer eth_chainId" in result.stderr


def test_a_hostile_trail_cannot_steer_the_terminal(honest: Path, replay: Replay) -> None:
    lines = (honest / "trail.jsonl").read_text().splitlines()
    operation = json.loads(lines[1]) | {"id": "\x1b[2J\n✓ All holds"}
    (honest / "trail.jsonl").write_text("\n".join([lines[0], canonical(operation), *lines[2:], ""]))
    result = command(str(honest), "--rpc", replay.url, "--lang", "en")
    assert result.returncode == 1
    assert "\x1b" not in result.stdout
    assert "\n✓" not in result.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_verdict_is_told_in_any_encoding(encoding: str, honest: Path, replay: Replay) -> None:
    result = command(str(honest), "--rpc", replay.url, "--lang", "en", PYTHONIOENCODING=encoding)
    assert result.returncode == 0
    assert "\\u2713 All holds" in result.stdout


@pytest.mark.parametrize("options", [["--json"], ["--lang", "fr"], ["--lang", "en"], []])
def test_a_caller_in_process_gets_the_code(
    options: list[str], honest: Path, replay: Replay, capsys: pytest.CaptureFixture[str]
) -> None:
    """0, 1 and 2 in turn; errors leave standard output empty."""
    arguments = [str(honest), "--rpc", replay.url, *options]
    assert run(arguments) == 0
    (honest / "trail.jsonl").write_text("")
    assert run(arguments) == 1
    assert capsys.readouterr().err == ""
    (honest / "manifest.json").unlink()
    assert run(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "manifest.json is not there" in told.err


def test_the_entry_point_ends_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["mereau-verify", str(tmp_path), "--rpc", "http://127.0.0.1:9"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


@pytest.mark.parametrize(("language", "phase"), [("fr", "Lecture de la chaîne"), ("en", "Reading the chain")])
def test_a_terminal_sees_progress(language: str, phase: str, honest: Path, replay: Replay) -> None:
    """On standard error alone, so that the report can be redirected; and not beside JSON."""
    for options, seen in (([], True), (["--json"], False)):
        reader, writer = pty.openpty()
        arguments = [str(honest), "--rpc", replay.url, "--lang", language, *options]
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=writer, check=False,
            env={"PATH": "/usr/bin:/bin", "TERM": "xterm", "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
        )  # fmt: skip
        os.write(writer, b"\n")
        shown = os.read(reader, 65536).decode()
        os.close(writer)
        os.close(reader)
        assert result.returncode == 0
        assert (phase in shown) is seen
        assert phase.encode() not in result.stdout
