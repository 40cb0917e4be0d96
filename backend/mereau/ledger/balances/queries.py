"""SQL of balances and of entries' standings. One statement sees one instant, and costs one round trip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Text, and_, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from mereau.chain.models import Batch, ChainBalance, MirrorState, Order
from mereau.core.db import HotQuery
from mereau.ledger.domain import entry_status
from mereau.ledger.models import Account, Entry, Lot
from mereau.ledger.queries import Balance
from mereau.members.models import Member
from mereau.wallets.models import Wallet

_TEXTS: Final[ARRAY[str]] = ARRAY(Text)
_EXPIRING = (
    select(Lot.expires_at.label("at"), func.sum(Lot.remaining).label("tokens"))
    .where(Lot.member_id == Member.id, Lot.remaining > 0, Lot.state == "active", Lot.expires_at.is_not(None))
    .group_by(Lot.expires_at)
    .order_by(Lot.expires_at)
    .limit(1)
    .correlate(Member)
    .lateral("expiring")
)
_BALANCES = HotQuery(
    select(
        Member.id,
        Account.available,
        Account.pending,
        Account.held,
        Account.debt,
        func.coalesce(ChainBalance.tokens, 0),
        MirrorState.head_number,
        _EXPIRING.c.tokens,
        _EXPIRING.c.at,
    )
    .select_from(Member)
    .outerjoin(Account, Account.member_id == Member.id)
    .outerjoin(Wallet, and_(Wallet.owner_kind == "member", Wallet.owner_id == Member.id))
    .outerjoin(ChainBalance, ChainBalance.wallet == Wallet.address)
    .outerjoin(MirrorState, MirrorState.id == 1)
    .outerjoin(_EXPIRING, true())
    .where(Member.id == func.any(bindparam("member_ids", type_=_TEXTS)))
)

_STANDINGS = (
    select(Entry.id, Entry.state, Batch.state, Entry.tokens)
    .outerjoin(Order, Order.id == Entry.id)
    .outerjoin(Batch, Batch.id == Order.batch_id)
    .where(Entry.id == func.any(bindparam("entry_ids", type_=_TEXTS)))
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What whoever made an entry is told of it."""

    id: str
    status: str
    tokens: int


async def find_balance(where: AsyncSession | AsyncConnection | AsyncEngine, member_id: str) -> Balance | None:
    """The member's balance, None where there is no such member."""
    return (await find_balances(where, [member_id])).get(member_id)


async def find_balances(
    where: AsyncSession | AsyncConnection | AsyncEngine, member_ids: Sequence[str]
) -> dict[str, Balance]:
    """Member id -> balance; unknown members are absent. Tokens in debt are not available."""
    rows = await _BALANCES.rows(where, member_ids=list(member_ids))
    return {
        member_id: Balance(
            available=max(0, (available or 0) - (debt or 0)),
            pending=pending or 0,
            held=held or 0,
            debt=debt or 0,
            on_chain=on_chain,
            on_chain_block=head,
            expiring_next_tokens=int(expiring_tokens or 0),
            expiring_next_at=expiring_at,
        )
        for member_id, available, pending, held, debt, on_chain, head, expiring_tokens, expiring_at in rows
    }


async def find_standings(session: AsyncSession, entry_ids: Sequence[str]) -> dict[str, Standing]:
    """Entry id -> how it stands; unknown entries are absent."""
    rows = await session.execute(_STANDINGS, {"entry_ids": list(entry_ids)})
    return {id_: Standing(id_, entry_status(state, batch_state), tokens) for id_, state, batch_state, tokens in rows}


async def members_with(session: AsyncSession, tokens: int, *, after_id: str, limit: int) -> list[str]:
    """Members who can spend so many tokens, by id, from behind that id on."""
    rows = await session.scalars(
        select(Account.member_id)
        .where(Account.available - Account.debt >= tokens, Account.member_id > after_id)
        .order_by(Account.member_id)
        .limit(limit)
    )
    return list(rows)
