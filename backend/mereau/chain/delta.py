"""What one transaction of the mirror changed, for the ledger to settle in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ForeignEvent:
    """An order that the chain executed and no open batch of ours accounts for.

    issue, reverse, expire: `sequence` and `trail_root` (partner None for expire); `batch_id` names the batch
    of ours that holds this sequence with another root, if there is one: the relayer decides what becomes of
    it. redeem: `reference`, which no sealed redemption carries.
    """

    kind: str
    block_number: int
    log_index: int
    partner_number: int | None = None
    sequence: int | None = None
    trail_root: bytes | None = None
    reference: bytes | None = None
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class MirrorDelta:
    """Ids of batches that were mined, became final or left the chain with a reorganisation.

    `foreign` are executed orders without a batch of ours, `failed` admin batches whose transaction reverted.
    The head is already written when this is handed on.
    """

    head_number: int
    mined: Sequence[str] = ()
    final: Sequence[str] = ()
    reorged: Sequence[str] = ()
    foreign: Sequence[ForeignEvent] = ()
    failed: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether only the head moved, so that the ledger has nothing to settle."""
        return not (self.mined or self.final or self.reorged or self.foreign or self.failed)
