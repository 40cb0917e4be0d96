"""Carries partners and their limits to the contract, through the role `partner_admin`."""

from datetime import datetime

from mereau.chain import contract, orders
from mereau.chain import queries_ledger as chain_queries
from mereau.chain.orders import NewOrder, OrderKind
from mereau.core.db import WriteSession
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.partners import service as partners
from mereau.partners.models import Partner
from mereau.wallets import service as wallets


async def register_partner(
    session: WriteSession, partner: Partner, now: datetime, *, actor: str = "system"
) -> str | None:
    """Order the contract to hold the partner as it stands here: signer, allowance, period cap, status.

    The id of the order, None where the last order said the same. Makes the partner's signing wallet on first
    call. Each order is journalled under `actor`.
    """
    signer = await wallets.ensure_partner_wallet(session, partner.id)
    sender = (await wallets.ensure_role_wallets(session))["partner_admin"]
    call_data = contract.encode_set_partner(
        partner.number,
        signer,
        allowance=partner.allowance_tokens,
        period_cap=partner.period_cap_tokens,
        active=partner.status == "active",
    )
    if await chain_queries.last_admin_call(session, partner.number) == call_data:
        return None
    order = NewOrder(
        id=new_id("adm", now),
        kind=OrderKind.ADMIN,
        partner_number=partner.number,
        wallet=None,
        tokens=0,
        commitment=None,
        call_data=call_data,
        sender=sender,
    )
    await orders.enqueue(session, [order])
    await journal.record(
        session,
        at=now,
        actor=actor,
        action="partner.registered",
        subject_id=partner.id,
        detail={
            "order_id": order.id,
            "signer": "0x" + signer.hex(),
            "allowance_tokens": partner.allowance_tokens,
            "period_cap_tokens": partner.period_cap_tokens,
            "status": partner.status,
        },
    )
    return order.id


async def set_allowance(
    session: WriteSession,
    partner_id: str,
    *,
    allowance_tokens: int | None,
    period_cap_tokens: int | None,
    now: datetime,
    actor: str = "system",
) -> Partner:
    """Change a partner's limits here and order them on chain; None is no limit. Locks the partner.

    NotFoundError for an unknown partner; InvalidInputError for limits out of range.
    """
    partner = await partners.set_limits(
        session, partner_id, allowance_tokens=allowance_tokens, period_cap_tokens=period_cap_tokens
    )
    await register_partner(session, partner, now, actor=actor)
    return partner
