"""The figures of the last quiet run of each measurement: one committed file that `scripts/plots` draws from."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).resolve().parents[2] / "docs" / "plots" / "results.json"


def load(path: Path = RESULTS) -> dict[str, Any]:
    """Name of the measurement -> {on, machine, figures}; empty where nothing was recorded yet."""
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return results


def record(
    name: str, figures: Mapping[str, float | int | str], machine: Mapping[str, float | int | str], path: Path = RESULTS
) -> None:
    """Put one measurement in the place of its last; the others stay as they are."""
    results = load(path)
    results[name] = {
        "on": datetime.now(UTC).date().isoformat(),
        "machine": dict(machine),
        "figures": dict(figures),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
