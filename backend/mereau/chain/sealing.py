"""How queued orders become batches, and batches transactions. Pure: orders and limits in, groups and loads out."""

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

# Those that only move tokens on a signer's line: what they do depends on nobody else, so that they travel together.
_SHARING: Final = frozenset({OrderKind.ISSUE, OrderKind.REVERSE, OrderKind.EXPIRE})

_LARGE: Final = 100
"""Orders from which on a transaction's gas is nearly that of its orders alone."""
_TRUST: Final = 15
"""Large transactions between two estimates."""

_ITEM_SIZE: Final = 32
_SECTION_SIZE: Final = 512
"""Call data of one section beside its items, rounded up: its words, its signature, its place in the Multicall."""
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
    """What one transaction may hold: orders, redemptions (each costs a signature check), sections, call data.

    Past a thousand orders a batch gains less than 1 % in gas and its proofs grow long; `bytes_max` leaves room
    below the 128 KiB at which nodes refuse a transaction.
    """

    orders_max: int = 1_000
    redemptions_max: int = 50
    sections_max: int = 100
    bytes_max: int = 120 * 1024

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

    @property
    def line(self) -> tuple[OrderKind, int | None]:
        """What waits where this group has to wait."""
        return self.kind, self.partner_number

    @property
    def size(self) -> int:
        """Bytes of call data, rounded up."""
        return _SECTION_SIZE + sum(order.size for order in self.orders)

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
        for chunk in _chunks(line, limits.orders_of(kind), limits.bytes_max - _SECTION_SIZE)
    ]


def loads(groups: Sequence[Group], limits: Limits) -> list[tuple[Group, ...]]:
    """The groups by transaction, in their order.

    Neighbours on signers' lines share one as far as the limits allow. Redemptions stand alone, for anybody may
    submit one of them and so make its whole transaction fail; admin orders are sent by their own role.
    """
    made: list[list[Group]] = []
    for one in groups:
        if made and _fits(made[-1], one, limits):
            made[-1].append(one)
        else:
            made.append([one])
    return [tuple(load) for load in made]


def _fits(load: Sequence[Group], one: Group, limits: Limits) -> bool:
    together = [*load, one]
    return (
        all(group.kind in _SHARING for group in together)
        and len(together) <= limits.sections_max
        and sum(len(group.orders) for group in together) <= limits.orders_max
        and sum(group.size for group in together) <= limits.bytes_max
    )


class Fill:
    """How much gas orders need and how many fit into one transaction, learned from what estimates say.

    Storage costs what the chain and its fork make of it, and an account's first credit costs three times the
    later ones: no table would stay true. Starts at `orders_max` and never exceeds it.
    """

    def __init__(self, orders_max: int) -> None:
        self._orders_max = orders_max
        self._gas_per_order = 0
        self._trusted = 0
        self.orders = orders_max

    def expected(self, orders: int, gas_max: int) -> int | None:
        """The gas of a large transaction, to be confirmed by running it; None asks for an estimate.

        Every now and then an estimate is due all the same, for what once was needed may be too much by now.
        """
        if not self._trusted or orders < _LARGE:
            return None
        self._trusted -= 1
        gas = orders * self._gas_per_order
        return gas if gas <= gas_max else None

    def passed(self, orders: int, gas: int, gas_max: int) -> None:
        """So many orders were estimated at so much gas: aim at nine tenths of `gas_max`.

        A small transaction says little of large ones, for most of its gas is its own.
        """
        if orders >= _LARGE:
            self._gas_per_order = -(-gas * 21 // (20 * orders))
            self._trusted = _TRUST
        if 2 * orders >= self.orders or 2 * gas >= gas_max:
            self.orders = max(1, min(self._orders_max, orders * gas_max * 9 // (10 * gas)))

    def failed(self, orders: int) -> None:
        """So many orders needed more gas than there is."""
        self._trusted = 0
        self.orders = max(1, min(self.orders, orders // 2))


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
