"""Integer arithmetic of tokens and money: floors, shares and bounds, no floats anywhere."""

from collections.abc import Sequence
from typing import Final

MAX_TOKENS: Final = 2**53 - 1
"""The largest token figure of the API: every JSON reader keeps it exact (RFC 8259, section 6)."""
MAX_AMOUNT_MINOR: Final = 2**53 - 1
"""The largest amount of money, for the same reason."""


def share_by_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` in proportion to `weights`, exactly; ties go to the earlier position.

    Hamilton's method. Weights are >= 0; where all are 0 the parts are 0 and `total` must be 0.
    """
    weight_sum = sum(weights)
    if weight_sum == 0:
        if total:
            msg = "a positive total needs a positive weight"
            raise ValueError(msg)
        return [0] * len(weights)
    parts = [total * weight // weight_sum for weight in weights]
    if left := total - sum(parts):
        remainders = [-(total * weight % weight_sum) for weight in weights]
        # Sorting is stable: of equal remainders the earlier position comes first.
        for i in sorted(range(len(weights)), key=remainders.__getitem__)[:left]:
            parts[i] += 1
    return parts
