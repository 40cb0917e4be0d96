"""Storms from seeds, each with the exact oracle at its end. `scripts/simulate` plays as many more as are wanted."""

import pytest

from simulation.arena import Arena
from simulation.seeds import FAILED
from simulation.simulate import run_seed

pytestmark = pytest.mark.node

SEEDS = 200
_CHUNK = 10


async def play(arena: Arena, seed: int) -> None:
    outcome = await run_seed(arena, seed)
    assert not outcome.violations, outcome.report()


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, _CHUNK))
async def test_whatever_happens_each_operation_counts_once(arena: Arena, first: int) -> None:
    for seed in range(first, first + _CHUNK):
        await play(arena, seed)


@pytest.mark.parametrize("seed", FAILED)
async def test_what_was_found_once_stays_fixed(arena: Arena, seed: int) -> None:
    await play(arena, seed)


async def test_a_seed_is_one_history(arena: Arena) -> None:
    """The same seed does the same on an arena that has seen other seeds meanwhile; another one does not."""
    first, other, again = [await run_seed(arena, seed) for seed in (11, 12, 11)]
    assert first.history == again.history
    assert first.digest == again.digest != other.digest
    assert first.operations == again.operations > 0
