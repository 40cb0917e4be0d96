"""How many requests a caller may make: counted per process, told in every answer."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Final

_WINDOW_S: Final = 60


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a caller stands in the present minute; `reset_s` is what is left of it."""

    limit: int
    remaining: int
    reset_s: int
    is_allowed: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The RateLimit fields of the IETF draft draft-ietf-httpapi-ratelimit-headers-03."""
        return [
            (b"ratelimit-limit", b"%d" % self.limit),
            (b"ratelimit-remaining", b"%d" % self.remaining),
            (b"ratelimit-reset", b"%d" % self.reset_s),
        ]


class RateLimiter:
    """So many requests of each caller in each minute of the clock. Several processes count apart.

    One window for all callers keeps nothing of a minute that is over, whoever asked in it.
    """

    def __init__(self, per_minute: int, now_s: Callable[[], float] = time) -> None:
        self._per_minute = per_minute
        self._now_s = now_s
        self._window = 0
        self._counts: Counter[str] = Counter()

    def hit(self, caller: str) -> Rate:
        """Count one request of `caller`, allowed or not."""
        window, past_s = divmod(int(self._now_s()), _WINDOW_S)
        if window != self._window:
            self._window = window
            self._counts.clear()
        self._counts[caller] += 1
        left = self._per_minute - self._counts[caller]
        return Rate(self._per_minute, max(0, left), _WINDOW_S - past_s, left >= 0)
