"""Claiming a receipt that was recorded for nobody known; its sale then earns as it would have."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from mereau.core.db import WriteSession
from mereau.earning.claims import repository
from mereau.earning.claims.domain import Receipt, is_claimable
from mereau.earning.claims.errors import ReceiptNotValidError
from mereau.earning.sales.service import assign_sale
from mereau.earning.terms import service as terms
from mereau.journal import service as journal
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.programs import service as programs
from mereau.sales.domain import RecordedSale, SaleDraft, SaleLineDraft
from mereau.sales.models import Sale, SaleLine

__all__ = ["Receipt", "claim"]


async def claim(session: WriteSession, member_id: str, receipt: Receipt, now: datetime, *, actor: str) -> RecordedSale:
    """Give a receipt to an active member, once, for ever.

    ReceiptNotValidError for every receipt that cannot be claimed, whatever the cause. Locks the sale, then what
    `assign_sale` locks: of claims side by side, one has it.
    """
    program, rules = await programs.current(session), await terms.current(session)
    sale = await repository.lock_sale(session, receipt.partner_id, receipt.external_id)
    lines = await repository.lines_of(session, "" if sale is None else sale.id)
    zone = ZoneInfo(program.time_zone)
    if sale is None or not is_claimable(receipt, sale, lines, now, zone, rules.claim_within_days):
        raise ReceiptNotValidError("Check number, amount and day; a receipt is claimed once, in its time.")
    done = await assign_sale(session, sale.id, _draft(sale, lines, member_id), now)
    detail = {"external_id": sale.external_id, "tokens": done.tokens, "rule": done.rule}
    payload = detail | {
        "partner_id": sale.partner_id,
        "member_id": member_id,
        "rules": [award.rule for award in done.awards],
    }
    await journal.record(session, at=now, actor=actor, action="sale.claimed", subject_id=sale.id, detail=detail)
    await outbox.publish(session, [Event("sale.claimed", sale.id, payload)], now)
    return done


def _draft(sale: Sale, lines: Sequence[SaleLine], member_id: str) -> SaleDraft:
    return SaleDraft(
        partner_id=sale.partner_id,
        external_id=sale.external_id,
        member_id=member_id,
        occurred_at=sale.occurred_at,
        currency=sale.currency,
        lines=[
            SaleLineDraft(
                sku=line.sku,
                category=line.category,
                quantity=line.quantity,
                unit_price_micro=line.unit_price_micro,
                amount_minor=line.amount_minor,
                discount_minor=line.discount_minor,
                tax_minor=line.tax_minor,
                eligible=line.eligible,
                brand=line.brand,
                labels=tuple(line.labels),
            )
            for line in lines
        ],
        shipping_minor=sale.shipping_minor,
        location_id=sale.location_id,
        staff_id=sale.staff_id,
        channel=sale.channel,
    )
