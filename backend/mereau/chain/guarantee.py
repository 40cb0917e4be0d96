"""How long the contract protects a credit from expiry, whoever asks."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain import contract
from mereau.chain.errors import RpcUnavailableError
from mereau.chain.models import Deployment
from mereau.chain.rpc import RpcClient

_EPOCHS: Final = 2


async def guaranteed_life_s(session: AsyncSession, rpc: RpcClient | None) -> int | None:
    """The seconds after which the contract lets every credit expire; None where no contract is deployed yet.

    A credit is safe in the epoch in which it was made and in the next one, so two whole epochs are the longest
    that it may be safe. RpcUnavailableError where no node answers.
    """
    deployment = await session.get(Deployment, 1)
    if deployment is None:
        return None
    if rpc is None:
        raise RpcUnavailableError("No node of the chain is configured.")
    data = contract.encode_call("epochLength")
    answer = await rpc.call("eth_call", {"to": deployment.contract, "data": data}, "latest")
    return _EPOCHS * int(answer, 16)
