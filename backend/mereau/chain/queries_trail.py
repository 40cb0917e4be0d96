"""What the trail tells of the chain: executed batches with their orders, redemptions, balances, identity."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select, text

from mereau.chain.models import Batch, Deployment, MirrorState
from mereau.core.db import ReadSession
from mereau.core.errors import ConfigurationError, UnavailableError

PAGE_BATCHES = 50


@dataclass(frozen=True, slots=True)
class TrailHead:
    """The chain's identity and the block at which everything else is told."""

    chain_id: int
    genesis_hash: bytes
    contract: bytes
    deployment_block: int
    deployment_hash: bytes
    number: int
    hash: bytes
    supply: int


@dataclass(frozen=True, slots=True)
class ExecutedOrder:
    """One order as the chain executed it; `index` counts from 0 in its group."""

    id: str
    index: int
    wallet: bytes
    tokens: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class ExecutedBatch:
    """Orders that the chain executed together. Redemptions have no line: partner, sequence and root are None."""

    kind: str
    partner: int | None
    sequence: int | None
    root: bytes | None
    block: int
    orders: Sequence[ExecutedOrder]


async def trail_head(session: ReadSession) -> TrailHead:
    """Identity and head; ConfigurationError without a contract, UnavailableError before the mirror's first block."""
    deployment = await session.get(Deployment, 1)
    if deployment is None:
        raise ConfigurationError("No contract is deployed yet; run `mereau up` once.")
    mirror = await session.get(MirrorState, 1)
    if mirror is None:
        raise UnavailableError("The mirror has not read a block yet; try again in a moment.")
    return TrailHead(
        chain_id=deployment.chain_id,
        genesis_hash=deployment.genesis_hash,
        contract=deployment.contract,
        deployment_block=deployment.block_number,
        deployment_hash=deployment.block_hash,
        number=mirror.head_number,
        hash=mirror.head_hash,
        supply=mirror.supply,
    )


async def executed_batches(session: ReadSession) -> AsyncIterator[list[ExecutedBatch]]:
    """Issues, reversals and expiries that stand on chain, in pages, in the order of the chain."""
    place = (-1, -1)
    while True:
        statement = (
            select(
                Batch.id,
                Batch.kind,
                Batch.partner_number,
                Batch.sequence,
                Batch.trail_root,
                Batch.block_number,
                Batch.log_index,
            )
            .where(Batch.state.in_(("mined", "final")), Batch.sequence.is_not(None))
            .where(text("(block_number, log_index) > (:block, :log)").bindparams(block=place[0], log=place[1]))
            .order_by(Batch.block_number, Batch.log_index)
            .limit(PAGE_BATCHES)
        )
        rows = (await session.execute(statement)).all()
        if not rows:
            return
        orders = await _orders(session, [row.id for row in rows])
        yield [
            ExecutedBatch(
                row.kind, row.partner_number, row.sequence, row.trail_root, row.block_number, orders.get(row.id, ())
            )
            for row in rows
        ]
        place = (rows[-1].block_number, rows[-1].log_index)


async def _orders(session: ReadSession, batch_ids: Sequence[str]) -> dict[str, list[ExecutedOrder]]:
    statement = text("""
        select batch_id, id, batch_index, wallet, tokens, commitment from chain_orders
        where batch_id = any(:batch_ids) order by batch_id, batch_index
    """).bindparams(batch_ids=list(batch_ids))
    grouped: dict[str, list[ExecutedOrder]] = {}
    for batch_id, order_id, index, wallet, tokens, commitment in await session.execute(statement):
        grouped.setdefault(batch_id, []).append(ExecutedOrder(order_id, index, wallet, tokens, commitment))
    return grouped


async def executed_redemptions(session: ReadSession) -> list[ExecutedBatch]:
    """Redemptions that stand on chain, by block. Found by their event: anybody may have submitted them."""
    statement = text("""
        select e.block_number, o.id, o.wallet, o.tokens, o.commitment
        from chain_events e
        join chain_orders o
          on o.kind = 'redeem' and o.commitment = decode(substr(e.data->>'reference', 3), 'hex')
        where e.name = 'Redeemed'
        order by e.block_number, e.log_index
    """)
    blocks: dict[int, list[ExecutedOrder]] = {}
    for block, order_id, wallet, tokens, commitment in await session.execute(statement):
        orders = blocks.setdefault(block, [])
        orders.append(ExecutedOrder(order_id, len(orders), wallet, tokens, commitment))
    return [ExecutedBatch("redeem", None, None, None, block, orders) for block, orders in blocks.items()]


async def executed_totals(session: ReadSession) -> dict[str, int]:
    """Tokens by kind, from the mirrored events: issue, reverse, expire; redemptions from their burns."""
    statement = text("""
        select name, sum((data->>'total')::bigint) from chain_events
        where name in ('Issued', 'Reversed', 'Expired') group by name
    """)
    totals = {str(name): int(total) for name, total in await session.execute(statement)}
    burned = await session.scalar(
        text("select coalesce(sum(tokens), 0) from chain_transfers where target = decode(repeat('00', 20), 'hex')")
    )
    reversed_, expired = totals.get("Reversed", 0), totals.get("Expired", 0)
    return {
        "issued": totals.get("Issued", 0),
        "reversed": reversed_,
        "redeemed": int(burned or 0) - reversed_ - expired,
        "expired": expired,
    }


async def mirrored_balances(session: ReadSession) -> dict[bytes, int]:
    """Every wallet's balance at the mirror's head."""
    rows = await session.execute(text("select wallet, tokens from chain_balances"))
    return {bytes(wallet): int(tokens) for wallet, tokens in rows}


async def open_tokens(session: ReadSession) -> dict[bytes, int]:
    """Per wallet: credits less reversals and expiries that are ordered and not yet on chain.

    Redemptions do not count: their tokens stay held until the burn is mined.
    """
    statement = text("""
        select o.wallet, sum(case o.kind when 'issue' then o.tokens else -o.tokens end)
        from chain_orders o left join chain_batches b on b.id = o.batch_id
        where o.kind in ('issue', 'reverse', 'expire') and o.state in ('queued', 'sealed')
          and (b.id is null or b.state not in ('mined', 'final'))
        group by o.wallet
    """)
    return {bytes(wallet): int(tokens) for wallet, tokens in await session.execute(statement)}
