"""Reads every balance from the node at the mirror's head and holds mirror and ledger against it."""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import contract, deployment
from mereau.chain import queries_ledger as chain_queries
from mereau.chain.errors import BlockUnknownError
from mereau.chain.queries_ledger import MirrorHead
from mereau.chain.rpc import RpcClient, at_block, hex_bytes
from mereau.core.clock import Clock, SystemClock
from mereau.core.db import ReadSession, snapshot, transaction
from mereau.core.errors import UnavailableError
from mereau.journal import service as journal
from mereau.ledger.reconciliation import domain, repository
from mereau.ledger.reconciliation.domain import Difference, Figures, Report
from mereau.wallets import service as wallets

__all__ = ["Difference", "Report", "reconcile"]

_DIFFERENCES_TOLD: Final = 100
_OPEN_SIGNS: Final = {"issue": -1, "reverse": 1, "expire": 1, "redeem": 0}
_SYSTEM_CLOCK: Final = SystemClock()


async def reconcile(engine: AsyncEngine, rpc: RpcClient, *, clock: Clock = _SYSTEM_CLOCK) -> Report:
    """Compare `totalSupply` and every balance on chain with mirror and ledger, all at the mirror's head block.

    One database snapshot and storage reads pinned to the block's hash (EIP-1898), so the figures belong
    together whatever happens meanwhile. The report enters the journal, whose chain of hashes answers for it.
    UnavailableError where the mirror has no block yet or the node no longer knows that block.
    """
    async with snapshot(engine) as session:
        head = await chain_queries.mirror_head(session)
        if head is None:
            raise UnavailableError("The mirror has not read a block yet; try again in a moment.")
        address = (await deployment.load(session)).contract
        mirror = await chain_queries.all_balances(session)
        ledger = await _expected(session)
    holders = sorted(mirror.keys() | ledger.keys())
    chain, supply = await _on_chain(rpc, address, holders, head)
    report = domain.report(head.number, head.hash, Figures(chain, mirror, ledger, supply, head.supply))
    await _write_down(engine, report, clock.now())
    return report


async def _expected(session: ReadSession) -> dict[bytes, int]:
    """Wallet -> tokens that the ledger expects on chain at the mirror's head."""
    addresses = await wallets.all_member_addresses(session)
    tokens = await repository.active_tokens(session)
    expected = {wallet: tokens.get(member_id, 0) for member_id, wallet in addresses.items()}
    for order in await chain_queries.open_orders_by_wallet(session):
        expected[order.wallet] = expected.get(order.wallet, 0) + _OPEN_SIGNS[order.kind] * order.tokens
    return expected


async def _on_chain(
    rpc: RpcClient, address: bytes, holders: list[bytes], head: MirrorHead
) -> tuple[dict[bytes, int], int]:
    """Wallet -> balance, and the supply, in the contract's storage after the head block."""
    slots = [contract.total_supply_slot(), *map(contract.account_slot, holders)]
    block = at_block(head.hash)
    try:
        words = await rpc.batch([("eth_getStorageAt", (address, slot, block)) for slot in slots])
    except BlockUnknownError as error:
        raise UnavailableError(
            f"The node does not know block {head.number} of the mirror any more; try again in a moment."
        ) from error
    supply, *accounts = map(hex_bytes, words)
    balances = {wallet: contract.balance_in(word) for wallet, word in zip(holders, accounts, strict=True)}
    return balances, int.from_bytes(supply, "big")


async def _write_down(engine: AsyncEngine, report: Report, now: datetime) -> None:
    told = [str(difference) for difference in report.differences[:_DIFFERENCES_TOLD]]
    async with transaction(engine) as session:
        await journal.record(
            session,
            at=now,
            actor="system",
            action="reconciliation.reported",
            subject_id=f"block:{report.block_number}",
            detail={
                "block_hash": "0x" + report.block_hash.hex(),
                "supply_chain": report.supply_chain,
                "supply_mirror": report.supply_mirror,
                "accounts_checked": report.accounts_checked,
                "drift_tokens": report.drift_tokens,
                "difference_count": len(report.differences),
                "differences": told,
            },
        )
