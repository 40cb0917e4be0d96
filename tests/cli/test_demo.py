"""What the demo removes, and what it never touches. Its story is tried in tests/e2e."""

import os
from pathlib import Path

import pytest

from mereau.cli.demo import PROGRAMME, _make_afresh
from mereau.cli.state import RunState, lock, write_run_state
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout
from mereau.programs.domain import ProgramDraft, findings


def test_a_missing_directory_is_made_and_marked(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "var" / "demo")
    _make_afresh(layout)
    assert [path.name for path in layout.root.iterdir()] == [".mereau-demo"]


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    _make_afresh(Layout(tmp_path))
    assert Layout(tmp_path).demo_mark.exists()


def test_a_former_demo_is_removed(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    _make_afresh(layout)
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "rows").write_text("old")
    _make_afresh(layout)
    assert [path.name for path in tmp_path.iterdir()] == [".mereau-demo"]


@pytest.mark.parametrize("content", ["letter.txt", "keystore.json", "postgres"])
def test_anything_else_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / content).write_text("precious")
    with pytest.raises(ConfigurationError, match="--data-dir"):
        _make_afresh(Layout(tmp_path))
    assert (tmp_path / content).read_text() == "precious"


def test_a_running_demo_is_not_removed_under_its_feet(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    _make_afresh(layout)
    descriptor = lock(layout)
    write_run_state(layout, RunState(os.getpid(), "postgresql://d", "http://c", "http://a"))
    with pytest.raises(ConfigurationError, match=f"kill {os.getpid()}"):
        _make_afresh(layout)
    assert layout.run_file.exists()
    os.close(descriptor)


def test_the_demos_programme_is_one() -> None:
    assert list(findings(ProgramDraft(**PROGRAMME))) == []
    assert PROGRAMME["activation_delay_s"] == 0
