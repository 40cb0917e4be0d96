"""SQL of reconciliation."""

from sqlalchemy import select

from mereau.core.db import ReadSession
from mereau.ledger.models import Account


async def active_tokens(session: ReadSession) -> dict[str, int]:
    """Member id -> tokens that the ledger holds as active, free or reserved."""
    rows = await session.execute(select(Account.member_id, Account.available + Account.held))
    return {member_id: int(tokens) for member_id, tokens in rows}
