"""Balances and statements on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from mereau.core.schemas import ChainFigure, Resource
from mereau.ledger.balances.queries import Standing
from mereau.ledger.models import Lot
from mereau.ledger.queries import Balance, EntryView

EntryKind = Literal["issue", "reverse", "redeem", "expire", "extend"]
EntryStatus = Literal[
    "pending", "accepted", "sealed", "submitted", "mined", "final", "rejected", "cancelled", "reorged"
]


class OnChain(Resource):
    """The wallet's balance in the contract, after the block named (null before the first)."""

    tokens: ChainFigure
    block_number: ChainFigure | None


class Expiring(Resource):
    """The spendable tokens that expire first."""

    tokens: int
    at: datetime


class BalanceOut(Resource):
    """A member's tokens. `available` can be spent now; `on_chain` is what anyone can check."""

    available: int
    pending: int = Field(description="Earned, and waiting for the return window to end.")
    held: int = Field(description="Reserved for redemptions under way.")
    debt: int = Field(description="Owed because returned goods' tokens were spent before.")
    on_chain: OnChain
    expiring_next: Expiring | None


class MemberBalanceOut(BalanceOut):
    """A member's balance, with the member."""

    member_id: str


class EntryOut(Resource):
    """One line of a statement. `status` says how far it is on its way to a final block."""

    id: str
    member_id: str
    partner_id: str | None
    kind: EntryKind
    status: EntryStatus
    tokens: int
    source_id: str
    source_reference: str
    rule: str | None
    reason_code: str
    rejected_reason: str | None
    occurred_at: datetime
    activates_at: datetime
    expires_at: datetime | None
    created_at: datetime
    batch_id: str | None
    block_number: ChainFigure | None
    transaction_hash: str | None


class LotOut(Resource):
    """The tokens of one credit, by what became of them: the figures from `remaining` on sum to `tokens`.

    Tokens are spent earliest expiry first, then the oldest.
    """

    entry_id: str
    partner_id: str
    state: Literal["pending", "active", "spent", "expired", "reversed"]
    tokens: int
    remaining: int = Field(description="Free to spend once the lot is active.")
    held: int = Field(description="Reserved for redemptions under way.")
    spent: int
    reversed: int
    expired: int
    activates_at: datetime
    expires_at: datetime | None


class EntryRef(Resource):
    """The entry that a write made, and how it stands."""

    id: str
    status: EntryStatus
    tokens: int


def show_balance(balance: Balance) -> BalanceOut:
    return BalanceOut(**_balance_fields(balance))


def show_member_balance(member_id: str, balance: Balance) -> MemberBalanceOut:
    return MemberBalanceOut(member_id=member_id, **_balance_fields(balance))


def show_entry(entry: EntryView) -> EntryOut:
    return EntryOut(
        id=entry.id,
        member_id=entry.member_id,
        partner_id=entry.partner_id,
        kind=entry.kind,
        status=entry.status,
        tokens=entry.tokens,
        source_id=entry.source_id,
        source_reference=entry.source_reference,
        rule=entry.rule,
        reason_code=entry.reason_code,
        rejected_reason=entry.rejected_reason,
        occurred_at=entry.occurred_at,
        activates_at=entry.activates_at,
        expires_at=entry.expires_at,
        created_at=entry.created_at,
        batch_id=entry.batch_id,
        block_number=None if entry.block_number is None else str(entry.block_number),
        transaction_hash=None if entry.transaction_hash is None else "0x" + entry.transaction_hash.hex(),
    )


def show_lot(lot: Lot) -> LotOut:
    return LotOut.model_validate(lot)


def show_entry_ref(standing: Standing) -> EntryRef:
    return EntryRef(id=standing.id, status=standing.status, tokens=standing.tokens)


def _balance_fields(balance: Balance) -> dict[str, object]:
    block = balance.on_chain_block
    expires_at = balance.expiring_next_at
    return {
        "available": balance.available,
        "pending": balance.pending,
        "held": balance.held,
        "debt": balance.debt,
        "on_chain": OnChain(tokens=str(balance.on_chain), block_number=None if block is None else str(block)),
        "expiring_next": None if expires_at is None else Expiring(tokens=balance.expiring_next_tokens, at=expires_at),
    }
