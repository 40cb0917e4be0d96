"""SIGKILL at every write, on either side of its commit: the next process ends where an undisturbed one ends."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.mortal import Moment, Point
from faults.scenes import ACCEPT, BY_HAND, POINTS, SCENES, SEND, Scene, sell
from faults.stage import KILLED, Stage

BACKEND = Path(__file__).parents[2] / "backend" / "mereau"
OPENERS = {"transaction": 1, ".writing": 0}
"""What opens a write, a function and a method, and where its name stands among the arguments."""

pytestmark = pytest.mark.node


@pytest.mark.parametrize(("scene", "write", "moment"), POINTS, ids=[f"{moment} {write}" for _, write, moment in POINTS])
async def test_a_kill_at_a_write_changes_nothing_in_the_end(
    stage: Stage, scene: Scene, write: str, moment: Moment
) -> None:
    await scene.arrange(stage)
    if write == SEND:
        victim = stage.start()
        stage.gate.on_send(moment, lambda: victim.pid or 0)
    else:
        victim = stage.start(point=Point(write, moment))
    await stage.died(victim, mining=scene.mining)
    await stage.finished()
    await scene.check(stage)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_kills_at_random_writes_change_nothing_in_the_end(stage: Stage, seed: int) -> None:
    """One process after the other, each killed at its own point or told to stop once it has nothing left to do."""
    draw = random.Random(seed)
    await stage.ledger.hold(40)
    killed = 0
    for _ in range(4):
        await sell(stage)
        point = Point(draw.choice(SCENES[0].writes), draw.choice(("before", "after")), draw.randint(1, 3))
        victim = stage.start(point=point, MEREAU_SEAL_ORDERS_MAX="1")
        await stage.settled(victim)
        await stage.stopped(victim, KILLED)
        killed += victim.exitcode == KILLED
    assert killed
    await stage.finished()
    await stage.assert_exact()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_point_that_is_never_reached_fails_the_test(stage: Stage, moment: Moment) -> None:
    """The canary of this file: who waits for a death that does not come must hear of it."""
    victim = stage.start("mirror", point=Point("seal", moment))
    await stage.caught_up()
    victim.terminate()
    with pytest.raises(AssertionError):
        await stage.died(victim)


async def test_the_oracle_notices_a_lost_and_a_doubled_credit(stage: Stage) -> None:
    await stage.assert_exact()
    await stage.ledger.write("update chain_balances set tokens = tokens + 1")
    with pytest.raises(AssertionError):
        await stage.assert_exact()
    await stage.ledger.write("update chain_balances set tokens = tokens - 1")
    await stage.assert_exact()
    await stage.ledger.credit(1)
    with pytest.raises(AssertionError):
        await stage.assert_exact()


def test_no_write_escapes() -> None:
    """A new named write needs a scene that leads to it, and a scene that nothing needs any more goes."""
    led_to = {write for scene in SCENES for write in scene.writes}
    assert {name for _, name in named_writes()} == (led_to - {SEND}) | {ACCEPT} | BY_HAND


def test_every_write_of_the_chain_side_has_a_name() -> None:
    nameless = [place for place, name in writes() if name is None and place.startswith("chain/")]
    assert nameless == []


def named_writes() -> Iterator[tuple[str, str]]:
    return ((place, name) for place, name in writes() if name is not None)


def writes() -> Iterator[tuple[str, str | None]]:
    """Where the source opens a transaction, and the name that it gives; None without one."""
    for path in sorted(BACKEND.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (called := name_of(node.func)) in OPENERS:
                place = f"{path.relative_to(BACKEND)}:{node.lineno}"
                name = node.args[OPENERS[called] :]
                # The lease hands on the name that it was given.
                if not (name and isinstance(name[0], ast.Name)):
                    yield place, ast.literal_eval(name[0]) if name else None


def name_of(function: ast.expr) -> str:
    return f".{function.attr}" if isinstance(function, ast.Attribute) else getattr(function, "id", "")
