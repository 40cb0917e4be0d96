"""How long the contract protects a credit from expiry, whoever asks."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.models import Deployment

_EPOCHS: Final = 2


async def guaranteed_life_s(session: AsyncSession) -> int | None:
    """The seconds after which the contract lets every credit expire; None where no contract is deployed yet.

    A credit is safe in the epoch in which it was made and in the next one, so two whole epochs are the longest
    that it may be safe. No node is asked: the contract's code holds the epoch for ever.
    """
    epoch_s = await session.scalar(select(Deployment.epoch_s))
    return None if epoch_s is None else _EPOCHS * epoch_s
