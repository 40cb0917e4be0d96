"""The contract is put on chain once, and its chain is recognised or refused."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.relayer.kit import Desk
from chain.relayer.proxy import Fault, FaultProxy
from mereau.chain import contract, deployment
from mereau.chain.deployment import DeployedContract
from mereau.chain.errors import ExecutionRevertedError, RpcUnavailableError
from mereau.chain.orders import OrderKind
from mereau.chain.rpc import RpcClient, hex_bytes
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConfigurationError


async def test_the_deployed_contract_has_the_configuration(desk: Desk) -> None:
    assert (await desk.read("name"))[0] == "Points"
    assert (await desk.read("epochLength"))[0] == 600
    assert (await desk.read("defaultAdmin"))[0] == "0x" + desk.actors.admin.hex()
    role = (await desk.read("EXPIRER_ROLE"))[0]
    assert (await desk.read("hasRole", role, desk.actors.expirer))[0] is True
    assert (await desk.read("hasRole", role, desk.actors.relayer))[0] is False


async def test_the_record_names_chain_contract_and_block(desk: Desk) -> None:
    recorded = desk.deployment
    block = await desk.rpc.call("eth_getBlockByNumber", hex(recorded.block_number), False)
    assert recorded.block_hash == hex_bytes(block["hash"])
    assert len(recorded.contract) == 20


async def test_an_open_contract_is_recorded_as_such(desk: Desk) -> None:
    config = replace(config_of(desk), transfers_open=True)
    deployed = await deployment.deploy(desk.rpc, desk.keys, desk.actors.admin, config)
    assert (deployed.transfers_open, desk.deployment.transfers_open) == (True, False)
    assert deployed.epoch_s == config.epoch_length_s > 0
    assert deployed.code_hash != desk.deployment.code_hash


async def test_the_right_node_passes(desk: Desk) -> None:
    async with snapshot(desk.engine) as session:
        checked = await deployment.check_identity(session, desk.rpc)
    assert checked.contract == desk.deployment.contract


async def test_only_one_contract_is_recorded(desk: Desk) -> None:
    recorded = desk.deployment
    again = DeployedContract(*(getattr(recorded, name) for name in DeployedContract.__slots__))
    with pytest.raises(IntegrityError):
        await save(desk.engine, again)


async def save(engine: AsyncEngine, deployed: DeployedContract) -> None:
    async with transaction(engine) as session:
        await deployment.save(session, deployed)


async def test_without_a_deployment_nothing_starts(engine: AsyncEngine) -> None:
    async with snapshot(engine) as session:
        with pytest.raises(ConfigurationError, match="No contract is deployed"):
            await deployment.load(session)


@pytest.mark.parametrize(
    ("method", "result", "words"),
    [
        ("eth_chainId", "0x1", "chain id"),
        ("eth_getCode", "0x", "contract code"),
        ("eth_getCode", "0x6001", "contract code"),
        ("eth_getBlockByNumber", {"hash": "0x" + "11" * 32}, "genesis block"),
    ],
)
async def test_another_chain_is_refused_and_named(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient, method: str, result: object, words: str
) -> None:
    proxy.fail_always(method, Fault(result=result))
    async with snapshot(desk.engine) as session:
        with pytest.raises(ConfigurationError, match=words):
            await deployment.check_identity(session, faulty_rpc)


async def test_a_chain_that_was_reset_is_refused(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    """Same chain id and genesis; the block of the deployment is not there any more."""
    number = hex(desk.deployment.block_number)
    proxy.rule = lambda method, params: (
        Fault(result={"hash": "0x" + "22" * 32}) if method == "eth_getBlockByNumber" and params[0] == number else None
    )
    async with snapshot(desk.engine) as session:
        with pytest.raises(ConfigurationError, match="block of the deployment"):
            await deployment.check_identity(session, faulty_rpc)


async def test_the_relayer_writes_nothing_on_another_chain(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 1))
    proxy.fail_always("eth_chainId", Fault(result="0x1"))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        with pytest.raises(ConfigurationError):
            await relayer.step()
    assert await desk.batches() == []
    assert proxy.sent == []


async def test_a_configuration_that_the_contract_refuses_is_told(desk: Desk) -> None:
    with pytest.raises(ExecutionRevertedError) as caught:
        await deployment.deploy(desk.rpc, desk.keys, desk.actors.admin, config_of(desk, epoch_length_s=1))
    assert contract.decode_revert(caught.value.data).name == "LoyaltyPeriod"


async def test_a_deployment_that_is_not_mined_in_time_is_unavailable(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    proxy.fail_always("eth_getTransactionReceipt", Fault(forward=False))
    with pytest.raises(RpcUnavailableError, match="not mined"):
        await deployment.deploy(faulty_rpc, desk.keys, desk.actors.admin, config_of(desk), timeout_s=0.3)


async def test_a_deployment_that_reverts_in_its_block_is_told(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    failed = {"status": "0x0", "blockNumber": "0x1", "contractAddress": None}
    proxy.fail_always("eth_getTransactionReceipt", Fault(result=failed))
    with pytest.raises(ConfigurationError, match="reverted"):
        await deployment.deploy(faulty_rpc, desk.keys, desk.actors.admin, config_of(desk))


def config_of(desk: Desk, **changes: int) -> contract.Config:
    actors = desk.actors
    config = contract.Config(
        "Points", "PTS", "", 0, actors.admin, 0, actors.partner_admin, actors.expirer, actors.pauser, 60, 600,
        86_400, transfers_open=False,
    )  # fmt: skip
    return replace(config, **changes)
