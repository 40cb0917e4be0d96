"""Work that is cheaper together: what callers bring while one piece of work runs is done as the next one.

Nobody waits for company: what comes while nothing runs is worked on at once, alone. Under load the groups grow
by themselves, and with them the number of callers who share one transaction and its flush to the disk. Between
two groups is a moment in which those who were just answered can ask again: without it there would be two crowds
that always miss each other, each half as large.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

_BETWEEN_GROUPS_S: Final = 0.004

Item = TypeVar("Item")
Done = TypeVar("Done")

Work = Callable[[Sequence[Item]], Awaitable[Sequence[Done | Exception]]]
"""Does all items or, where it raises, none; its results stand in the order of the items."""


class Gathering(Generic[Item, Done]):
    """Gathers items of one event loop for `work`, at most `items_max` at a time, one group after the other."""

    def __init__(self, work: Work[Item, Done], items_max: int) -> None:
        self._work = work
        self._items_max = items_max
        self._waiting: list[tuple[Item, asyncio.Future[Done]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def bring(self, item: Item) -> Done:
        """What `work` made of the item; raises the exception that stands in its place.

        Where `work` raises for a group, each of its items is worked on alone, so that one caller's trouble is
        never another's. A caller who is cancelled loses the answer; the item may be done all the same.
        """
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work_off())
        return await future

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._items_max], self._waiting[self._items_max :]
                await self._settle(group)
                if self._waiting:
                    await asyncio.sleep(_BETWEEN_GROUPS_S)
        finally:
            self._worker = None

    async def _settle(self, group: Sequence[tuple[Item, asyncio.Future[Done]]]) -> None:
        items, futures = zip(*group, strict=True)
        try:
            answered = list(zip(futures, await self._work(items), strict=True))
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the callers
            if len(group) > 1:
                for single in group:
                    await self._settle([single])
                return
            answered = [(futures[0], error)]
        except asyncio.CancelledError:
            # The loop is being closed; nobody shall wait for ever.
            for future in futures:
                future.cancel()
            raise
        for future, result in answered:
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
