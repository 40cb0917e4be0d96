"""Imports point down; the contracts stand in pyproject.toml (ADR 0001)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def lint_imports(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_import_contract_is_kept() -> None:
    result = lint_imports()
    assert result.returncode == 0, result.stdout


def test_a_broken_contract_is_noticed(tmp_path: Path) -> None:
    """The twin: told that the core must not see SQLAlchemy, the same tool objects."""
    config = tmp_path / "contracts.toml"
    config.write_text(
        '[tool.importlinter]\nroot_packages = ["mereau"]\ninclude_external_packages = true\n'
        '[[tool.importlinter.contracts]]\nname = "twin"\ntype = "forbidden"\n'
        'source_modules = ["mereau.core"]\nforbidden_modules = ["sqlalchemy"]\n'
    )
    result = lint_imports("--config", str(config))
    assert result.returncode == 1
    assert "BROKEN" in result.stdout
