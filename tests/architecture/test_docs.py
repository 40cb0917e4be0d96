"""Documentation cannot rot: settings, commands and links that it names are those that exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mereau.core.config import Settings

ROOT = Path(__file__).parents[2]
OPERATORS = (ROOT / "docs" / "operators.md").read_text()
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def help_of(*words: str) -> str:
    program = "from mereau.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", program, *words, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return result.stdout


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"MEREAU_{name.upper()}`" in OPERATORS


def test_every_documented_setting_exists() -> None:
    named = set(re.findall(r"`MEREAU_([A-Z_]+)`", OPERATORS))
    assert named == {name.upper() for name in Settings.model_fields}


def test_every_command_is_documented() -> None:
    listed = re.findall(r"^│ (\w+) ", help_of().partition("Commands")[2], flags=re.MULTILINE)
    assert len(listed) >= 15
    assert [command for command in listed if f"`mereau {command}" not in OPERATORS] == []


def test_every_command_that_readme_runs_exists() -> None:
    named = set(re.findall(r"mereau ([a-z]+)(?: ([a-z]+))?", " ".join(blocks(ROOT / "README.md"))))
    assert len(named) >= 6
    for words in named:
        chosen = [word for word in words if word]
        assert re.search(rf"Usage: .*{' '.join(chosen)}", help_of(*chosen))


def blocks(page: Path) -> list[str]:
    return re.findall(r"```bash\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().partition("## Where to look")[2]
    named = re.findall(r"`([\w/]+\.(?:py|sol))`", text)
    assert len(named) >= 10
    places = (ROOT, ROOT / "backend", ROOT / "backend" / "mereau")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_every_decision_has_its_headings() -> None:
    for page in (ROOT / "docs" / "adr").glob("*.md"):
        text = page.read_text()
        for heading in ("**Context.**", "**Decision.**", "**Consequences.**", "**Held by**"):
            assert heading in text, f"{page.name} lacks {heading}"
