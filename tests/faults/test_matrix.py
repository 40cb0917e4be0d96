"""docs/faults.md cannot rot: the tests that it names exist, and its list of writes is the one that is killed at."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from faults.scenes import ACCEPT, SCENES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
ROWS = re.findall(r"^\| (.+?) \| (.+) \|$", PAGE.partition("## Matrix")[2], flags=re.MULTILINE)[1:]
NAMED = sorted(set(re.findall(r"`(tests/\S+?)::(\w+)`", PAGE)))


@cache
def functions_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in functions_in(path)


def test_every_fault_has_a_test() -> None:
    assert len(ROWS) >= 20
    assert [fault for fault, held in ROWS if not re.search(r"`tests/\S+::\w+`", held)] == []


def test_every_killing_test_is_in_the_matrix() -> None:
    """What this folder does to the product is told to whoever runs it."""
    files = {path for path, _ in NAMED}
    here = {f"tests/faults/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert here - files == {"tests/faults/test_matrix.py"}


def test_the_writes_are_those_of_the_scenes() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert sorted(listed) == sorted([ACCEPT, *(write for scene in SCENES for write in scene.writes)])
