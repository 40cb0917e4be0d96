"""How many requests a caller may make: counted per process, told in every answer."""

from dataclasses import dataclass
from math import ceil
from time import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a caller stands in the present minute; `reset_s` is what is left of it."""

    limit: int
    remaining: int
    reset_s: int
    is_allowed: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The RateLimit fields of the IETF draft draft-ietf-httpapi-ratelimit-headers-03."""
        fields = {
            b"ratelimit-limit": self.limit,
            b"ratelimit-remaining": self.remaining,
            b"ratelimit-reset": self.reset_s,
        }
        return [(name, str(value).encode()) for name, value in fields.items()]


class RateLimiter:
    """A fixed window of one minute for each caller. Several processes count apart: the limit is one process's."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._windows = FixedWindowRateLimiter(MemoryStorage())

    def hit(self, caller: str) -> Rate:
        """Count one request of `caller`, allowed or not."""
        is_allowed = self._windows.hit(self._item, caller)
        window = self._windows.get_window_stats(self._item, caller)
        return Rate(self._item.amount, window.remaining, max(0, ceil(window.reset_time - time())), is_allowed)
