"""Puts the contract on a chain once, and refuses every other chain ever after."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.contract import Config, encode_deployment
from mereau.chain.errors import RpcUnavailableError
from mereau.chain.fees import FeePolicy, market
from mereau.chain.hashing import keccak
from mereau.chain.models import Deployment
from mereau.chain.rpc import RpcClient, hex_bytes, quantity
from mereau.chain.signing import Signer
from mereau.chain.transactions import UnsignedTransaction
from mereau.core.db import WriteSession
from mereau.core.errors import ConfigurationError

_POLL_DELAY_S: Final = 0.1
_DEPLOYMENT_ID: Final = 1


@dataclass(frozen=True, slots=True)
class DeployedContract:
    """A contract and what makes its chain recognisable."""

    chain_id: int
    genesis_hash: bytes
    contract: bytes
    code_hash: bytes
    block_number: int
    block_hash: bytes
    transfers_open: bool = False
    epoch_s: int = 0


async def deploy(
    rpc: RpcClient, signer: Signer, deployer: bytes, config: Config, *, timeout_s: float = 300
) -> DeployedContract:
    """Create the contract in one transaction of `deployer`, which pays the gas and gets no power by it.

    Waits for the block. Raises RpcUnavailableError after `timeout_s`; a contract that nobody recorded holds no
    tokens, so that deploying again is safe.
    """
    data = encode_deployment(config)
    chain_id, nonce, gas = await rpc.batch(
        [
            ("eth_chainId", ()),
            ("eth_getTransactionCount", (deployer, "latest")),
            ("eth_estimateGas", ({"from": deployer, "data": data}, "latest")),
        ]
    )
    transaction = UnsignedTransaction(
        int(chain_id, 16),
        int(nonce, 16),
        (await market(rpc, FeePolicy())).fees,
        int(gas, 16) * 11 // 10,
        b"",
        data,
    )
    (signature,) = await signer.sign([(deployer, transaction.digest())])
    signed = transaction.signed(signature)
    await rpc.call("eth_sendRawTransaction", signed.raw)
    receipt = await _receipt(rpc, signed.hash, timeout_s)
    if int(receipt["status"], 16) != 1:
        raise ConfigurationError("the contract refused its configuration: its constructor reverted")
    contract, number = hex_bytes(receipt["contractAddress"]), int(receipt["blockNumber"], 16)
    found = await _describe(rpc, contract, number)
    return replace(found, transfers_open=config.transfers_open, epoch_s=config.epoch_length_s)


async def save(session: WriteSession, deployed: DeployedContract) -> None:
    """Record the one contract of this installation; a second one raises IntegrityError."""
    session.add(Deployment(id=_DEPLOYMENT_ID, **{name: getattr(deployed, name) for name in DeployedContract.__slots__}))
    await session.flush()


async def load(session: AsyncSession) -> Deployment:
    """The recorded contract. Raises ConfigurationError where none was deployed yet."""
    deployment = await session.get(Deployment, _DEPLOYMENT_ID)
    if deployment is None:
        raise ConfigurationError("No contract is deployed yet: run `mereau init` first.")
    return deployment


async def check_identity(session: AsyncSession, rpc: RpcClient) -> Deployment:
    """The recorded contract, after the node proved to serve it.

    Raises ConfigurationError where the chain id, the genesis block, the contract's code or the block of the
    deployment is another one: the chain was reset or the URL points elsewhere, and nothing may be written.
    """
    deployment = await load(session)
    served = await _describe(rpc, deployment.contract, deployment.block_number)
    for name, label in _IDENTITY.items():
        expected, found = getattr(deployment, name), getattr(served, name)
        if expected != found:
            raise ConfigurationError(
                f"The node at {rpc.url} serves another chain: its {label} is {_shown(found)}, this installation "
                f"was made on {_shown(expected)}. Point MEREAU_CHAIN_URL at the right node."
            )
    return deployment


_IDENTITY: Final = {
    "chain_id": "chain id",
    "genesis_hash": "genesis block",
    "block_hash": "block of the deployment",
    "code_hash": "contract code",
}


async def _describe(rpc: RpcClient, contract: bytes, number: int) -> DeployedContract:
    chain_id, genesis, block, code = await rpc.batch(
        [
            ("eth_chainId", ()),
            ("eth_getBlockByNumber", (quantity(0), False)),
            ("eth_getBlockByNumber", (quantity(number), False)),
            ("eth_getCode", (contract, "latest")),
        ]
    )
    if genesis is None:
        raise RpcUnavailableError("the node shows no genesis block")
    return DeployedContract(
        int(chain_id, 16),
        _hash_of(genesis),
        contract,
        keccak(hex_bytes(code)),
        number,
        _hash_of(block),
    )


def _hash_of(block: dict[str, Any] | None) -> bytes:
    return b"" if block is None else hex_bytes(block["hash"])


def _shown(value: object) -> str:
    return ("0x" + value.hex() if value else "missing") if isinstance(value, bytes) else str(value)


async def _receipt(rpc: RpcClient, transaction_hash: bytes, timeout_s: float) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while loop.time() < deadline:
        receipt: dict[str, Any] | None = await rpc.call("eth_getTransactionReceipt", transaction_hash)
        if receipt is not None:
            return receipt
        await asyncio.sleep(_POLL_DELAY_S)
    raise RpcUnavailableError(f"the deployment was not mined within {timeout_s:.0f} s")
