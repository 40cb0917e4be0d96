"""SIGKILL of a whole import at any moment: running it again ends where an undisturbed run ends.

MEREAU_KILLS and MEREAU_KILL_FILE make it longer: ten kills over the full set is the release's own test.
"""

import os
import random
import time
from pathlib import Path

from e2e.harness import EXTRACT, kill_group, mereau_json, start, totals

KILLS = int(os.environ.get("MEREAU_KILLS", "3"))
FILE = os.environ.get("MEREAU_KILL_FILE", str(EXTRACT))


def arguments(data_dir: Path) -> tuple[str, ...]:
    return ("import", "sales", FILE, "--mapping", "online-retail", "--data-dir", str(data_dir))


def test_killed_imports_end_like_an_undisturbed_one(tmp_path: Path) -> None:
    began = time.monotonic()
    reference = mereau_json(*arguments(tmp_path / "quiet"))
    took_s = time.monotonic() - began
    draw = random.Random("moments")
    for number in range(KILLS):
        # From the first moments of an installation to the last orders of the import.
        moment_s = took_s * (number + draw.random()) / KILLS
        process = start(*arguments(tmp_path / "killed"))
        time.sleep(moment_s)
        kill_group(process)
    survived = mereau_json(*arguments(tmp_path / "killed"))
    assert survived["drift_tokens"] == reference["drift_tokens"] == 0
    assert survived["supply_tokens"] == reference["supply_tokens"]
    assert survived["sales_recorded"] + survived["sales_already_recorded"] == reference["sales_recorded"]
    assert totals(tmp_path / "killed") == totals(tmp_path / "quiet")
