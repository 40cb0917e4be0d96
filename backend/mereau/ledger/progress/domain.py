"""What the chain may say about orders. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Delta(Protocol):
    """Ids of batches that one step of the mirror found mined, final or gone again (`chain.delta.MirrorDelta`)."""

    @property
    def head_number(self) -> int: ...
    @property
    def mined(self) -> Sequence[str]: ...
    @property
    def final(self) -> Sequence[str]: ...
    @property
    def reorged(self) -> Sequence[str]: ...
    @property
    def failed(self) -> Sequence[str]: ...


class Rejected(Protocol):
    """An order that will never execute, and why."""

    @property
    def id(self) -> str: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Rejection:
    """An order that the ledger itself took back."""

    id: str
    reason: str
