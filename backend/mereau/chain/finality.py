"""When a block is final: the node's own word (tags), or a depth that the operator chose."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Finality:
    """`depth_blocks` None: the node's `finalized` tag. Else a block is final below so many later ones.

    Tags are right on chains that finalise (Ethereum, the embedded chain). Chains without tags need a depth:
    64 or more on proof of work, what the chain's documents advise elsewhere; 0 makes every block final.
    """

    depth_blocks: int | None = None

    @classmethod
    def by_tags(cls) -> Self:
        """Final is what the node calls `finalized`."""
        return cls()

    @classmethod
    def by_depth(cls, blocks: int) -> Self:
        """Final is what lies at least `blocks` (>= 0) below the head."""
        if blocks < 0:
            raise ValueError("a depth is at least 0 blocks")
        return cls(blocks)

    @property
    def uses_tags(self) -> bool:
        return self.depth_blocks is None

    def final_number(self, *, head: int, node_head: int, finalized: int | None) -> int | None:
        """The newest final block not above `head`, the newest block here; None where there is none.

        `node_head` is the node's newest block, `finalized` the number of its tag where it has one.
        """
        final = finalized if self.depth_blocks is None else node_head - self.depth_blocks
        if final is None or final < 0:
            return None
        return min(final, head)
