"""`scripts/simulate` plays the seeds that it is asked for, and does not end well when one of them did not."""

import subprocess
from multiprocessing import Queue
from pathlib import Path

import pytest
import simulate_main

from simulation.simulate import Outcome

ROOT = Path(__file__).parents[2]


@pytest.mark.node
def test_seeds_are_played_and_counted() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "simulate", "--seeds", "2", "--from", "7", "--jobs", "1", "--verbose"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("seed ")] == ["7", "8"]
    assert done.stdout.splitlines()[-1].startswith("2 seeds, ")
    assert ", 0 failed, " in done.stdout.splitlines()[-1]


def _one_in_two_fails(seeds: list[int], outcomes: "Queue[Outcome]") -> None:
    for seed in seeds:
        outcomes.put(Outcome(seed, ["a sale"], ["a token too many"] if seed % 2 else [], operations=1))


def test_a_failing_seed_is_told_with_its_history_and_to_be_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulate_main, "_work", _one_in_two_fails)
    failed = simulate_main.run(simulate_main.parse(["--seeds", "4", "--from", "10", "--jobs", "2"]))
    said = capsys.readouterr().out.splitlines()
    assert failed == 2
    assert "    a sale" in said
    assert said[-2:] == ['    11: "a token too many",', '    13: "a token too many",']


def _dies(seeds: list[int], outcomes: "Queue[Outcome]") -> None:
    raise SystemExit(3)


def test_a_worker_that_dies_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate_main, "_work", _dies)
    with pytest.raises(RuntimeError, match="before its time"):
        simulate_main.run(simulate_main.parse(["--seeds", "1", "--jobs", "1"]))
