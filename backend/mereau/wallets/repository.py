"""SQL of wallets and branches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text, update

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.wallets.domain import Branch, owner_kind
from mereau.wallets.models import Wallet, WalletBranch

_ADD_BRANCH = text("""
    insert into wallet_branches (branch, public_key, chain_code, next_index)
    values (:branch, :public_key, :chain_code, 0)
    on conflict (branch) do nothing
""")

_COLUMNS = ("id", "owner_kind", "owner_id", "custody", "branch", "derivation_index", "address", "created_at")


@dataclass(frozen=True, slots=True)
class NewWallet:
    """A derived address for an owner; the derivation index is the branch's next free one."""

    id: str
    owner_id: str
    index: int
    address: bytes


async def addresses(session: ReadSession | WriteSession, branch: Branch, owner_ids: Sequence[str]) -> dict[str, bytes]:
    """Owner id -> address, of those who have one."""
    rows = await session.execute(
        select(Wallet.owner_id, Wallet.address).where(
            Wallet.owner_kind == owner_kind(branch), Wallet.owner_id == func.any(list(owner_ids))
        )
    )
    return {row.owner_id: row.address for row in rows}


async def add_branch(session: WriteSession, branch: Branch, public_key: bytes, chain_code: bytes) -> None:
    """Store a branch's public half, unless it is there."""
    await session.execute(_ADD_BRANCH, {"branch": branch.value, "public_key": public_key, "chain_code": chain_code})


async def branches(session: ReadSession | WriteSession) -> Mapping[int, WalletBranch]:
    return {row.branch: row for row in await session.scalars(select(WalletBranch))}


async def lock_branch(session: WriteSession, branch: Branch) -> WalletBranch | None:
    """The branch, locked until the transaction ends: one taker of indices at a time."""
    return await session.scalar(
        select(WalletBranch)
        .where(WalletBranch.branch == branch.value)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def add(session: WriteSession, branch: Branch, wallets: Sequence[NewWallet], now: datetime) -> None:
    """Write managed wallets and move the branch's next free index behind them."""
    kind = owner_kind(branch)
    rows: Iterable[Sequence[object]] = (
        (w.id, kind, w.owner_id, "managed", branch.value, w.index, w.address, now) for w in wallets
    )
    await copy_rows(session, Wallet, _COLUMNS, rows)
    await session.execute(
        update(WalletBranch)
        .where(WalletBranch.branch == branch.value)
        .values(next_index=WalletBranch.next_index + len(wallets))
    )


async def places(session: ReadSession | WriteSession, addresses: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
    """Address -> (branch, index), of managed wallets only."""
    rows = await session.execute(
        select(Wallet.address, Wallet.branch, Wallet.derivation_index).where(
            Wallet.address == func.any(list(addresses)), Wallet.custody == "managed"
        )
    )
    return {row.address: (row.branch, row.derivation_index) for row in rows}


async def member_addresses(session: ReadSession | WriteSession) -> dict[str, bytes]:
    """Every member's address, by member id."""
    rows = await session.execute(
        select(Wallet.owner_id, Wallet.address).where(Wallet.owner_kind == owner_kind(Branch.MEMBER))
    )
    return {row.owner_id: row.address for row in rows}


async def transaction_time(session: WriteSession) -> datetime:
    return (await session.execute(select(func.now()))).scalar_one()
