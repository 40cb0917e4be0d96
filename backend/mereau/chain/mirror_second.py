"""A second node, so that what one node says need not be believed alone."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mereau.chain.errors import ForeignChainError, RpcError
from mereau.chain.headers import Header
from mereau.chain.reader import BlockReader
from mereau.core.clock import Clock
from mereau.core.errors import UnavailableError

_LAG_BLOCKS_MAX: Final = 16
"""How far nodes of one chain may be apart before somebody should look."""
_SILENCE: Final = timedelta(seconds=10)
"""A node that did not answer is left alone so long: waiting for it must not slow the mirror down."""
_SILENT: Final = (UnavailableError, ForeignChainError, RpcError)


class Agreement(NamedTuple):
    """What two nodes agree on. `newest` is None where that cannot be told just now.

    `alarm` says what an operator should know. `conflict` is set where they hold different final blocks: one of
    them is wrong about what cannot change.
    """

    newest: Header | None
    alarm: str | None = None
    conflict: str | None = None


class SecondNode:
    """Compared with the first node before anything of a new head is taken."""

    def __init__(self, reader: BlockReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._silence: tuple[datetime, str] | None = None

    async def agree(self, first: BlockReader, head: Header, final_number: int) -> Agreement:
        """How far this node has the chain whose head `first` says is `head`, and what both say is final.

        A node that does not answer, serves another chain or is merely behind has no say. One that shows another
        block of the same number has: the newest block before it is all that counts. Raises what `first` raises.
        """
        if self._silence is not None and self._clock.now() < self._silence[0]:
            return Agreement(head, self._silence[1])
        self._silence = None
        try:
            seen = await self._reader.look(head.number, tags=False)
        except _SILENT as error:
            reason = f"the second node cannot be asked: {error}"
            self._silence = (self._clock.now() + _SILENCE, reason)
            return Agreement(head, reason)
        ours, theirs = (head, seen.here) if seen.here else (await first.header(seen.head.number), seen.head)
        if ours.hash != theirs.hash:
            return await self._newest_common(first, ours.number, min(final_number, ours.number))
        lag = head.number - ours.number
        return Agreement(head, f"the second node is {lag} blocks behind" if lag > _LAG_BLOCKS_MAX else None)

    async def _newest_common(self, first: BlockReader, differ: int, final: int) -> Agreement:
        """By halving: chains that have a block in common have all blocks before it in common."""
        common = await first.header(final)
        try:
            theirs = await self._reader.header(final)
            if theirs.hash != common.hash:
                return Agreement(None, conflict=_conflict(final, common, theirs))
            while differ - common.number > 1:
                middle = await first.header((common.number + differ) // 2)
                if (await self._reader.header(middle.number)).hash == middle.hash:
                    common = middle
                else:
                    differ = middle.number
        except _SILENT as error:
            return Agreement(None, f"the second node disagrees, and cannot be asked since when: {error}")
        return Agreement(common, f"the second node disagrees from block {differ} on")


def _conflict(number: int, ours: Header, theirs: Header) -> str:
    return f"of final block {number} the node holds 0x{ours.hash.hex()}, the second node 0x{theirs.hash.hex()}"
