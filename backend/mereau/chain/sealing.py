"""How queued orders become batches. Pure: orders and limits in, groups out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mereau.chain.orders import OrderKind

# Credits stand before debits, so that no debit waits for a credit of its own window.
_PRECEDENCE: Final = {
    kind: place
    for place, kind in enumerate(
        (OrderKind.ADMIN, OrderKind.ISSUE, OrderKind.REVERSE, OrderKind.REDEEM, OrderKind.EXPIRE)
    )
}

_ITEM_SIZE: Final = 32
_REDEMPTION_HEAD_SIZE: Final = 76
_KEY_SIGNATURE_SIZE: Final = 65


@dataclass(frozen=True, slots=True)
class QueuedOrder:
    """An order that waits. For redemptions `nonce` and `deadline` are set once a signature exists anywhere."""

    id: str
    seq: int
    kind: OrderKind
    partner_number: int | None
    wallet: bytes
    tokens: int
    commitment: bytes
    call_data: bytes = b""
    sender: bytes = b""
    signature: bytes | None = None
    nonce: int | None = None
    deadline: int | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes in its batch's packed list."""
        if self.kind is OrderKind.REDEEM:
            return _REDEMPTION_HEAD_SIZE + len(self.signature or bytes(_KEY_SIGNATURE_SIZE))
        return _ITEM_SIZE


@dataclass(frozen=True, slots=True)
class Limits:
    """What one batch may hold: orders, redemptions (each costs a signature check), bytes of its packed list."""

    orders_max: int = 200
    redemptions_max: int = 50
    list_bytes_max: int = 120 * 1024

    def orders_of(self, kind: OrderKind) -> int:
        if kind is OrderKind.ADMIN:
            return 1
        return min(self.orders_max, self.redemptions_max) if kind is OrderKind.REDEEM else self.orders_max


@dataclass(frozen=True, slots=True)
class Group:
    """Orders for one batch, in queue order: one kind, and one partner where partners sign."""

    kind: OrderKind
    partner_number: int | None
    orders: tuple[QueuedOrder, ...]

    @property
    def tokens(self) -> int:
        return sum(order.tokens for order in self.orders)

    def without(self, ids: Iterable[str]) -> "Group":
        """The group less some of its orders."""
        gone = set(ids)
        return replace(self, orders=tuple(order for order in self.orders if order.id not in gone))

    def first(self, count: int) -> "Group":
        """The group's first `count` orders."""
        return replace(self, orders=self.orders[:count])


def group(orders: Sequence[QueuedOrder], limits: Limits) -> list[Group]:
    """The window's batches, in the order of sealing.

    Every order stands in one group, but for a member's second redemption: its nonce is known only when the first
    one is mined, so that it stays for a later window.
    """
    lines: dict[tuple[OrderKind, int | None, str], list[QueuedOrder]] = {}
    for order in sorted(_one_redemption_each(orders), key=lambda order: order.seq):
        lines.setdefault(_line(order), []).append(order)
    ordered = sorted(lines.items(), key=lambda line: (_PRECEDENCE[line[0][0]], line[1][0].seq))
    return [
        Group(kind, partner_number, tuple(chunk))
        for (kind, partner_number, _), line in ordered
        for chunk in _chunks(line, limits.orders_of(kind), limits.list_bytes_max)
    ]


def _line(order: QueuedOrder) -> tuple[OrderKind, int | None, str]:
    if order.kind is OrderKind.ADMIN:
        return order.kind, None, order.id
    return order.kind, None if order.kind is OrderKind.REDEEM else order.partner_number, ""


def _one_redemption_each(orders: Iterable[QueuedOrder]) -> Iterable[QueuedOrder]:
    redeeming: set[bytes] = set()
    for order in sorted(orders, key=lambda order: order.seq):
        if order.kind is OrderKind.REDEEM:
            if order.wallet in redeeming:
                continue
            redeeming.add(order.wallet)
        yield order


def _chunks(orders: Sequence[QueuedOrder], count_max: int, bytes_max: int) -> Iterable[list[QueuedOrder]]:
    chunk: list[QueuedOrder] = []
    size = 0
    for order in orders:
        if chunk and (len(chunk) == count_max or size + order.size > bytes_max):
            yield chunk
            chunk, size = [], 0
        chunk.append(order)
        size += order.size
    if chunk:
        yield chunk
