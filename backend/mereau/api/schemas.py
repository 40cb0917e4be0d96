"""The chain on the wire. Figures of the chain are decimal strings, hashes and addresses 0x-hex."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from mereau.chain.models import Batch, Order
from mereau.chain.queries import BatchDetail
from mereau.chain.status import ChainStatus, Supply
from mereau.core.schemas import ChainFigure, Resource

BatchKind = Literal["issue", "reverse", "expire", "redeem", "admin"]
BatchState = Literal["sealed", "submitted", "mined", "final", "superseded", "stuck"]


class BatchOut(Resource):
    """Sealed, immutable work of one kind."""

    id: str
    kind: BatchKind
    state: BatchState
    partner_number: int | None
    sequence: ChainFigure | None
    trail_root: str | None = Field(description="Root of the Merkle tree over the batch's records.")
    order_count: int
    tokens: ChainFigure
    transaction_hash: str | None
    block_number: ChainFigure | None
    sealed_at: datetime
    mined_at: datetime | None


class OrderOut(Resource):
    """One order of a batch; `id` is the entry's."""

    id: str
    index: int | None
    wallet: str | None
    tokens: ChainFigure
    commitment: str | None


class BatchDetailOut(BatchOut):
    """A batch with its orders in the order of the tree's leaves."""

    block_hash: str | None
    orders: list[OrderOut]


class SupplyOut(Resource):
    """All tokens there are, after the block named."""

    tokens: ChainFigure
    block_number: ChainFigure
    block_hash: str


class AlarmOut(Resource):
    """Something that an operator should look at, and since when it stands."""

    name: str
    detail: str
    since: datetime


class ChainStatusOut(Resource):
    """How far the mirror has read the chain, and whether its figures may be relied on."""

    chain_id: int
    contract: str
    is_current: bool
    frozen_reason: str | None
    head_number: ChainFigure | None
    head_hash: str | None
    head_age_s: int | None
    final_number: ChainFigure | None
    checked_age_s: int | None
    node_answers: bool | None
    node_head_number: ChainFigure | None
    lag_blocks: int | None
    alarms: list[AlarmOut]


def show_batch(batch: Batch) -> BatchOut:
    return BatchOut(**_batch_fields(batch))


def show_batch_detail(detail: BatchDetail) -> BatchDetailOut:
    return BatchDetailOut(
        **_batch_fields(detail.batch),
        block_hash=None if detail.block is None else _hex(detail.block.hash),
        orders=[_show_order(order) for order in detail.orders],
    )


def show_supply(supply: Supply) -> SupplyOut:
    return SupplyOut(
        tokens=str(supply.tokens), block_number=str(supply.block_number), block_hash="0x" + supply.block_hash.hex()
    )


def show_status(status: ChainStatus) -> ChainStatusOut:
    return ChainStatusOut(
        chain_id=status.chain_id,
        contract="0x" + status.contract.hex(),
        is_current=status.is_current,
        frozen_reason=status.frozen_reason,
        head_number=_figure(status.head_number),
        head_hash=_hex(status.head_hash),
        head_age_s=status.head_age_s,
        final_number=_figure(status.final_number),
        checked_age_s=status.checked_age_s,
        node_answers=status.node_answers,
        node_head_number=_figure(status.node_head_number),
        lag_blocks=status.lag_blocks,
        alarms=[AlarmOut(name=alarm.name, detail=alarm.detail, since=alarm.since) for alarm in status.alarms],
    )


def _batch_fields(batch: Batch) -> dict[str, object]:
    return {
        "id": batch.id,
        "kind": batch.kind,
        "state": batch.state,
        "partner_number": batch.partner_number,
        "sequence": _figure(batch.sequence),
        "trail_root": _hex(batch.trail_root),
        "order_count": batch.order_count,
        "tokens": str(batch.tokens),
        "transaction_hash": _hex(batch.transaction_hash),
        "block_number": _figure(batch.block_number),
        "sealed_at": batch.sealed_at,
        "mined_at": batch.mined_at,
    }


def _show_order(order: Order) -> OrderOut:
    return OrderOut(
        id=order.id,
        index=order.batch_index,
        wallet=_hex(order.wallet),
        tokens=str(order.tokens),
        commitment=_hex(order.commitment),
    )


def _figure(value: int | None) -> str | None:
    return None if value is None else str(value)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else "0x" + value.hex()
