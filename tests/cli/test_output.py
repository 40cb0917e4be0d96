"""What people and machines read."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from mereau.cli import output
from mereau.cli.output import emit, emit_json, emit_table, progress, say

ROWS = [("sales posted", 1234567), ("drift", 0), ("held", True), ("where", "http://127.0.0.1:1")]


def on_a_terminal(program: str) -> str:
    """What a program shows where standard output and error are a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())


def test_a_plain_table_lines_up_and_groups_digits(capsys: pytest.CaptureFixture[str]) -> None:
    emit_table("Import", ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "Import",
        "  sales posted  1,234,567",
        "  drift         0",
        "  held          yes",
        "  where         http://127.0.0.1:1",
    ]


def test_an_empty_table_is_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    emit_table("Nothing", [])
    assert capsys.readouterr().out == "Nothing\n"


def test_machines_get_one_object_with_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    emit("Import", ROWS, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "sales_posted": 1234567,
        "drift": 0,
        "held": True,
        "where": "http://127.0.0.1:1",
    }


def test_people_get_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    emit("Import", ROWS, as_json=False)
    assert capsys.readouterr().out.startswith("Import\n")


def test_json_keeps_french(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"programme": "Mereau démo"})
    assert capsys.readouterr().out == '{"programme": "Mereau démo"}\n'


def test_words_for_people_leave_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    say("ready")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "ready\n")


def test_plain_progress_speaks_when_a_phase_begins_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as report:
        for done in range(6):
            report("read", done, 5)
        report("mined", 7, None)
        report("mined", 7, 7)
        report("mined", 7, 7)
    assert capsys.readouterr().err.splitlines() == ["read: 0 of 5", "read: 5 of 5", "mined: 7", "mined: 7 of 7"]


def test_plain_progress_speaks_again_after_a_while(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_PLAIN_EVERY_S", 0.0)
    with progress() as report:
        for done in (1, 2, 2):
            report("read", done, 1000)
    assert capsys.readouterr().err.splitlines() == ["read: 1 of 1,000", "read: 2 of 1,000"]


def test_quiet_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as report:
        report("read", 1, 1)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_bars() -> None:
    shown = on_a_terminal(
        "from mereau.cli.output import progress\n"
        "with progress() as report:\n"
        "    report('read', 1, 4); report('mined', 0, None); report('read', 4, 4)"
    )
    assert "read" in shown
    assert "4/4" in shown
    assert "mined" in shown


def test_a_terminal_gets_a_box() -> None:
    shown = on_a_terminal("from mereau.cli.output import emit_table; emit_table('Import', [('drift', 1000)])")
    assert "Import" in shown
    assert "1,000" in shown
    assert any(line.startswith(("┏", "┌", "╭")) for line in shown.splitlines())


def test_a_closed_reader_is_not_needed_for_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is flushed at once, so that what a killed command printed is whole lines."""
    written = io.StringIO()
    flushed: list[str] = []
    keep: Callable[[], None] = lambda: flushed.append(written.getvalue())  # noqa: E731
    monkeypatch.setattr(written, "flush", keep)
    monkeypatch.setattr("sys.stdout", written)
    emit_json({"a": 1})
    assert flushed[-1] == '{"a": 1}\n'
