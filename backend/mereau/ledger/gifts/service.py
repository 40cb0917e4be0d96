"""Gifts between members exist only where the contract lets tokens pass, which is fixed when it is deployed."""

from mereau.chain import queries_ledger as chain_queries
from mereau.core.db import ReadSession
from mereau.core.errors import ConflictError
from mereau.ledger.gifts.errors import GiftsUnsupportedError, TransfersClosedError
from mereau.members import service as members


async def refusal(session: ReadSession, member_id: str) -> ConflictError:
    """Why this member cannot give, as the contract says. NotFoundError where there is no such member."""
    await members.get(session, member_id)
    return GiftsUnsupportedError() if await chain_queries.transfers_open(session) else TransfersClosedError()
