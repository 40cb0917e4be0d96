"""Gifts: what the contract has fixed for ever decides, and the member is told why, in both languages."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from factories.settled import SettledWorld, make_settled_world
from fixtures.chain import ChainNode
from mereau.chain import contract
from mereau.chain import queries_ledger as chain_queries
from mereau.chain.errors import ExecutionRevertedError
from mereau.chain.rpc import RpcClient
from mereau.core.clock import SystemClock
from mereau.core.db import snapshot


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


def a_gift(world: ApiWorld, **changes: Any) -> tuple[str, dict[str, Any]]:
    return f"/members/{world.ids['member_a']}/gifts", {"to_member_id": world.ids["member_b"], "tokens": 5} | changes


@pytest.mark.parametrize("is_deployed", [False, True])
async def test_a_closed_contract_lets_nobody_give(world: ApiWorld, is_deployed: bool) -> None:
    if is_deployed:
        await world.deploy()
    before = await world.fingerprint()
    for who in ("member_a", "operator"):
        answer = await world.post(who, *a_gift(world))
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "transfers_closed")
        assert problem["type"] == "urn:mereau:problem:transfers_closed"
        french, _, english = problem["detail"].partition(" / ")
        assert "aucun transfert entre membres" in french
        assert "no transfer between members" in english
    assert await world.fingerprint() == before


async def test_an_open_contract_is_told_from_a_closed_one(world: ApiWorld) -> None:
    await world.deploy()
    await world.hand.write("update chain_deployment set transfers_open = true")
    answer = await world.post("member_a", *a_gift(world))
    assert (answer.status_code, answer.json()["code"]) == (409, "gifts_unsupported")
    french, _, english = answer.json()["detail"].partition(" / ")
    assert "Mereau n'en transmet aucun" in french
    assert "Mereau carries none" in english


@pytest.mark.parametrize(
    ("who", "changes", "status"),
    [
        ("member_b", {}, 404),
        ("partner_a", {}, 403),
        ("staff", {}, 403),
        (None, {}, 401),
        ("member_a", {"tokens": 0}, 422),
        ("member_a", {"to_member_id": "Camille"}, 422),
        ("member_a", {"message": "Joyeux anniversaire"}, 422),
    ],
)
async def test_nobody_learns_more_than_they_may(
    world: ApiWorld, who: str | None, changes: dict[str, Any], status: int
) -> None:
    assert (await world.post(who, *a_gift(world, **changes))).status_code == status


async def test_an_unknown_member_is_not_found(world: ApiWorld) -> None:
    _, body = a_gift(world)
    for path in ("/members/mem_x/gifts", "/members/mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2/gifts"):
        assert (await world.post("operator", path, body)).status_code == 404


class TestOnChain:
    """What is recorded is what the contract does."""

    @pytest.fixture
    async def settled(self, engine: AsyncEngine, chain_node: ChainNode) -> AsyncIterator[SettledWorld]:
        async with RpcClient(chain_node.url) as rpc:
            yield await make_settled_world(engine, rpc, chain_node.accounts[0], now=SystemClock().now())

    async def test_the_record_says_what_the_contract_says(self, settled: SettledWorld) -> None:
        async with snapshot(settled.ledger.engine) as session:
            recorded = await chain_queries.transfers_open(session)
        assert await settled.read("transfersOpen") == (recorded,) == (False,)

    async def test_a_holder_cannot_go_round_it(self, settled: SettledWorld) -> None:
        (holder,) = await settled.ledger.rows("select address from wallets where owner_kind = 'partner' limit 1")
        call = {
            "from": holder.address,
            "to": settled.deployment.contract,
            "data": contract.encode_call("transfer", settled.deployment.contract, 0),
        }
        with pytest.raises(ExecutionRevertedError) as refusal:
            await settled.rpc.call("eth_call", call, "latest")
        assert contract.decode_revert(refusal.value.data).name == "LoyaltyTransfersClosed"
