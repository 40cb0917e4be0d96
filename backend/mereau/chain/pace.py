"""How many blocks to ask for at once: few events make long ranges, big blocks and slow nodes short ones."""

from typing import Final

_BLOCKS_MAX: Final = 200
_EVENTS_AIM: Final = 5_000
_TIME_AIM_S: Final = 1.0
_GROWTH: Final = 2
_PATIENCE: Final = 64


class Pace:
    """Adapts the length of a range to what the last ones held and took.

    A failure halves it at once, and what failed is not tried again until many ranges went well: a node with
    a fixed limit would else refuse every other request.
    """

    def __init__(self, *, blocks: int = 16, blocks_max: int = _BLOCKS_MAX) -> None:
        self._blocks_max = blocks_max
        self._ceiling = blocks_max
        self._good = 0
        self.blocks = min(blocks, blocks_max)

    def done(self, *, blocks: int, events: int, took_s: float) -> None:
        """A range came with so many events in so long: aim the next below both limits.

        A range that was short because the chain ended says nothing of longer ones.
        """
        self._good += 1
        if self._good % _PATIENCE == 0:
            self._ceiling = min(self._blocks_max, self._ceiling * _GROWTH)
        load = max(events / _EVENTS_AIM, took_s / _TIME_AIM_S)
        if load > 1:
            self.blocks = max(1, int(blocks / load))
        elif blocks >= self.blocks and load * _GROWTH <= 1:
            self.blocks = min(self._ceiling, self.blocks * _GROWTH)

    def failed(self) -> None:
        """The node refused or broke off: ask for half."""
        self.blocks = self._ceiling = max(1, self.blocks // _GROWTH)
        self._good = 0
