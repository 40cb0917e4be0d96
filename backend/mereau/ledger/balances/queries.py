"""SQL of balances. One statement sees one instant, and costs one round trip."""

from typing import Final

from sqlalchemy import BindParameter, and_, bindparam, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.models import ChainBalance, MirrorState
from mereau.ledger.models import Account, Lot
from mereau.ledger.queries import Balance
from mereau.members.models import Member
from mereau.wallets.models import Wallet

_MEMBER: Final[BindParameter[str]] = bindparam("member_id")
_EXPIRING = (
    select(Lot.expires_at.label("at"), func.sum(Lot.remaining).label("tokens"))
    .where(Lot.member_id == _MEMBER, Lot.remaining > 0, Lot.state == "active", Lot.expires_at.is_not(None))
    .group_by(Lot.expires_at)
    .order_by(Lot.expires_at)
    .limit(1)
    .lateral("expiring")
)
# Built once: making the statement anew would cost more than running it.
_BALANCE = (
    select(
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
    .where(Member.id == _MEMBER)
)


async def find_balance(session: AsyncSession, member_id: str) -> Balance | None:
    """The member's balance, None where there is no such member. Tokens in debt are not available."""
    row = (await session.execute(_BALANCE, {"member_id": member_id})).one_or_none()
    if row is None:
        return None
    available, pending, held, debt, on_chain, head, expiring_tokens, expiring_at = row
    return Balance(
        available=max(0, (available or 0) - (debt or 0)),
        pending=pending or 0,
        held=held or 0,
        debt=debt or 0,
        on_chain=on_chain,
        on_chain_block=head,
        expiring_next_tokens=int(expiring_tokens or 0),
        expiring_next_at=expiring_at,
    )
