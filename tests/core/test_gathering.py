"""Gathering: alone at once, together under load, and one caller's trouble is never another's."""

import asyncio
from collections.abc import Sequence
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mereau.core.gathering import Gathering


class Workshop:
    """Doubles numbers, when it is let; what it was given stands in `groups`.

    Negative numbers are refused in their place, and a group that holds a `poison` fails as a whole.
    """

    def __init__(self, poison: frozenset[int] = frozenset(), *, is_open: bool = True) -> None:
        self.groups: list[list[int]] = []
        self.poison = poison
        self.begun = asyncio.Event()
        self.door = asyncio.Event()
        if is_open:
            self.door.set()

    async def work(self, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(items))
        self.begun.set()
        await self.door.wait()
        if self.poison & set(items):
            raise RuntimeError("poison")
        return [ValueError(item) if item < 0 else 2 * item for item in items]


async def begun(tasks: Sequence[asyncio.Task[int]], workshop: Workshop) -> None:
    """Until the first group is being worked on and everybody has brought something."""
    await workshop.begun.wait()
    for _ in tasks:
        await asyncio.sleep(0)


async def test_an_item_that_comes_while_nothing_runs_is_done_alone() -> None:
    workshop = Workshop()
    gathering = Gathering(workshop.work, 10)
    assert [await gathering.bring(item) for item in (1, 2)] == [2, 4]
    assert workshop.groups == [[1], [2]]


async def test_what_comes_meanwhile_is_done_together_in_its_order() -> None:
    workshop = Workshop(is_open=False)
    gathering = Gathering(workshop.work, 10)
    tasks = [asyncio.create_task(gathering.bring(item)) for item in range(5)]
    await begun(tasks, workshop)
    late = [asyncio.create_task(gathering.bring(item)) for item in range(5, 8)]
    await begun(late, workshop)
    workshop.door.set()
    assert await asyncio.gather(*tasks, *late) == [2 * item for item in range(8)]
    assert list(chain(*workshop.groups)) == list(range(8))
    assert workshop.groups[-1][-3:] == [5, 6, 7]
    assert len(workshop.groups) == 2


async def test_who_asks_again_at_once_joins_those_who_waited() -> None:
    """Otherwise two crowds would miss each other for ever, each in every second group."""
    workshop = Workshop(is_open=False)
    gathering = Gathering(workshop.work, 10)

    async def ask_again(item: int) -> None:
        for _ in range(3):
            await gathering.bring(item)

    first = asyncio.create_task(ask_again(0))
    await begun([], workshop)
    others = [asyncio.create_task(ask_again(item)) for item in (1, 2)]
    await asyncio.sleep(0)
    workshop.door.set()
    await asyncio.gather(first, *others)
    assert [sorted(group) for group in workshop.groups] == [[0], [0, 1, 2], [0, 1, 2], [1, 2]]


async def test_a_group_has_its_limit() -> None:
    workshop = Workshop(is_open=False)
    gathering = Gathering(workshop.work, 3)
    tasks = [asyncio.create_task(gathering.bring(item)) for item in range(8)]
    await begun(tasks, workshop)
    workshop.door.set()
    await asyncio.gather(*tasks)
    assert max(len(group) for group in workshop.groups) == 3
    assert list(chain(*workshop.groups)) == list(range(8))


async def test_a_refusal_is_its_own_callers() -> None:
    workshop = Workshop()
    gathering = Gathering(workshop.work, 10)
    found = await asyncio.gather(*(gathering.bring(item) for item in (1, -2, 3)), return_exceptions=True)
    assert (found[0], found[2]) == (2, 6)
    assert isinstance(found[1], ValueError)
    assert workshop.groups == [[1, -2, 3]]


async def test_the_members_of_a_failed_group_are_done_one_by_one() -> None:
    workshop = Workshop(poison=frozenset({2}))
    gathering = Gathering(workshop.work, 10)
    found = await asyncio.gather(*(gathering.bring(item) for item in (1, 2, 3)), return_exceptions=True)
    assert (found[0], found[2]) == (2, 6)
    assert isinstance(found[1], RuntimeError)
    assert workshop.groups == [[1, 2, 3], [1], [2], [3]]


async def test_a_failure_alone_is_told_once_and_ends_nothing() -> None:
    workshop = Workshop(poison=frozenset({2}))
    gathering = Gathering(workshop.work, 10)
    with pytest.raises(RuntimeError, match="poison"):
        await gathering.bring(2)
    assert await gathering.bring(3) == 6
    assert workshop.groups == [[2], [3]]


async def test_a_caller_that_leaves_takes_nothing_from_the_others() -> None:
    workshop = Workshop(is_open=False)
    gathering = Gathering(workshop.work, 10)
    tasks = [asyncio.create_task(gathering.bring(item)) for item in range(3)]
    await begun(tasks, workshop)
    tasks[1].cancel()
    workshop.door.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert (found[0], found[2]) == (0, 4)
    assert isinstance(found[1], asyncio.CancelledError)
    assert await gathering.bring(5) == 10


async def test_nobody_waits_for_work_that_was_cancelled() -> None:
    async def given_up(_: Sequence[int]) -> list[int]:
        raise asyncio.CancelledError

    gathering = Gathering(given_up, 10)
    found = await asyncio.gather(*(gathering.bring(item) for item in (1, 2)), return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in found)


async def test_too_few_results_are_a_bug_that_nobody_waits_for() -> None:
    async def short(_: Sequence[int]) -> list[int]:
        return []

    gathering = Gathering(short, 10)
    with pytest.raises(ValueError, match="shorter"):
        await gathering.bring(1)


@settings(max_examples=60)
@given(
    items=st.lists(st.integers(-5, 20), max_size=30),
    poison=st.frozensets(st.integers(-5, 20), max_size=3),
    items_max=st.integers(1, 12),
)
async def test_everybody_hears_of_their_own_item(items: list[int], poison: frozenset[int], items_max: int) -> None:
    workshop = Workshop(poison)
    gathering = Gathering(workshop.work, items_max)
    found = await asyncio.gather(*(gathering.bring(item) for item in items), return_exceptions=True)
    for item, answer in zip(items, found, strict=True):
        if item in poison:
            assert isinstance(answer, RuntimeError)
        elif item < 0:
            assert isinstance(answer, ValueError)
            assert answer.args == (item,)
        else:
            assert answer == 2 * item
    assert all(len(group) <= items_max for group in workshop.groups)
