"""The gas bars of the design, by the same meter that the benchmark prints."""

import importlib.util
from itertools import product
from types import ModuleType
from typing import Any

import pytest

from contracts.harness import EPOCH_S, GAS_LIMIT, ROOT

# Half a minute of one core, which a busy machine may stretch.
pytestmark = pytest.mark.timeout(900)

BARS = {
    "issue_existing_200": 8_000,
    "issue_new_200": 25_200,
    "reverse_200": 8_000,
    "expire_200": 8_000,
    "redeem_50": 16_500,
}


@pytest.fixture(scope="module")
def gas() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_gas", ROOT / "scripts/lib/gas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def meter(gas: ModuleType) -> Any:
    return gas.Meter()


@pytest.fixture(scope="module")
def figures(gas: ModuleType, meter: Any) -> dict[str, int]:
    """Every kind at the standing sizes, and the largest batch of the kind that fits the fewest items."""
    measured: dict[str, int] = {}
    start = meter.chain.snapshot()
    for kind in gas.KINDS:
        if kind == "expire":
            meter.chain.travel(meter.chain.now() + 2 * EPOCH_S)
        measured |= gas.sized(meter, kind)
    meter.chain.revert(start)
    return measured | gas.largest(meter, "issue_new") | gas.yardstick(meter)


@pytest.mark.slow
@pytest.mark.parametrize("figure", BARS)
def test_stays_under_the_bar(figures: dict[str, int], figure: str) -> None:
    assert figures[figure] <= BARS[figure]


@pytest.mark.slow
def test_beats_the_yardstick_of_the_same_run(figures: dict[str, int]) -> None:
    assert figures["issue_existing_200"] < figures["oz_loop_existing_200"] < figures["oz_single_existing"]
    assert figures["issue_new_200"] < figures["oz_loop_new_200"] < figures["oz_single_new"]


@pytest.mark.slow
def test_larger_batches_are_cheaper_each(gas: ModuleType, figures: dict[str, int]) -> None:
    for kind in gas.KINDS:
        assert figures[f"{kind}_1"] > figures[f"{kind}_50"] > figures[f"{kind}_200"]


@pytest.mark.slow
def test_the_largest_batch_fills_one_transaction(meter: Any, figures: dict[str, int]) -> None:
    count = figures["issue_new_max_n"]
    assert meter.measured("issue_new", count) <= GAS_LIMIT < meter.measured("issue_new", count + 1)
    assert figures["issue_new_max"] < figures["issue_new_50"]


def test_the_table_shows_every_figure(
    gas: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ("1", "50", "200", "max", "max_n")
    made_up = {
        f"{kind}_{column}": 1000 + 7 * number for number, (kind, column) in enumerate(product(gas.KINDS, columns))
    }
    made_up |= {"oz_single_new": 51_000}
    monkeypatch.setattr(gas, "measure", lambda: made_up)
    assert gas.run(json_only=False) == made_up
    printed = capsys.readouterr().err
    assert all(f"{value:,}" in printed for value in made_up.values())
    assert gas.run(json_only=True) == made_up
    assert capsys.readouterr() == ("", "")
