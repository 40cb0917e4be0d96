"""The door through which the ledger asks for chain work; nobody else writes orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Final

from sqlalchemy import text

from mereau.chain.models import Order
from mereau.core.db import WriteSession, copy_rows

ORDERS_CHANNEL: Final = "mereau_orders"


class OrderKind(StrEnum):
    """What the contract shall do; `admin` is any role's own transaction."""

    ISSUE = "issue"
    REVERSE = "reverse"
    EXPIRE = "expire"
    REDEEM = "redeem"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """One order; `id` is that of the entry or the admin act, `wallet` the member's address.

    issue, reverse: `partner_number`, `wallet`, `commitment`. expire: the same without a partner. redeem: the
    partner that honours the reward, and the commitment that becomes the signed `reference`; a self-custody
    holder's order also carries its `signature`, `nonce` and `deadline` (Unix seconds). admin: `call_data` and
    `sender`, the role's address.
    """

    id: str
    kind: OrderKind
    partner_number: int | None
    wallet: bytes | None
    tokens: int
    commitment: bytes | None
    call_data: bytes | None = None
    sender: bytes | None = None
    signature: bytes | None = None
    nonce: int | None = None
    deadline: int | None = None


_COLUMNS: Final = (
    "id",
    "kind",
    "partner_number",
    "wallet",
    "tokens",
    "commitment",
    "call_data",
    "sender",
    "signature",
    "nonce",
    "deadline",
)
_values = attrgetter(*_COLUMNS)


async def enqueue(session: WriteSession, orders: Sequence[NewOrder]) -> None:
    """Queue orders in the caller's transaction and wake the relayer when it commits.

    An id that was queued before raises psycopg's UniqueViolation: each entry orders its chain work once.
    """
    if not orders:
        return
    rows = ((*_values(order), "queued") for order in orders)
    await copy_rows(session, Order, (*_COLUMNS, "state"), rows)
    await session.execute(text(f"notify {ORDERS_CHANNEL}"))
