"""A reorganisation deeper than finality, as members and operators meet it: through the API."""

from datetime import UTC, datetime
from typing import Any

import pytest
from eth_account import Account
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import open_world
from chain.mirror.kit import deploy, wallet
from chain.mirror.world import START, mirror_of
from fixtures.chain import ANVIL_KEY, running_anvil
from mereau.chain import mirror_store
from mereau.chain.finality import Finality
from mereau.chain.mirror import StepOutcome
from mereau.chain.rpc import RpcClient
from mereau.core.db import transaction

pytestmark = pytest.mark.node


async def test_redemptions_are_refused_and_say_why_until_an_operator_decides(engine: AsyncEngine) -> None:
    with running_anvil() as url:
        async with RpcClient(url) as rpc, open_world(engine) as world:

            async def asked() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
                path = f"/members/{world.ids['member_a']}/redemptions"
                redeemed = await world.post("member_a", path, {"reward_id": world.ids["reward"]})
                status = await world.get("auditor", "/chain/status")
                return redeemed.json(), status.json(), (await world.get(None, "/../../readyz")).json()

            token = await deploy(rpc, Account.from_key(ANVIL_KEY), Account.from_key(b"\x07" * 32))
            follower = mirror_of(engine, token, finality=Finality.by_depth(3))
            follower.clock.advance(datetime.now(UTC) - START)  # The API reads the database's clock.
            await follower.add(token.deployment)
            await token.issue([(wallet(1), 5)])
            await rpc.call("anvil_mine", "0x8")
            await follower.mirror.step()
            refused, status, ready = await asked()
            assert refused.get("code") != "redemptions_frozen"
            assert (status["is_current"], ready["ready"]) == (True, True)

            fork = await token.head() - 5
            await rpc.call("anvil_reorg", 5, [])
            assert (await follower.mirror.step()).outcome is StepOutcome.FROZEN
            refused, status, ready = await asked()
            reason = f"the chain forked at block {fork}, below the final block {fork + 2}"
            assert (refused["status"], refused["code"]) == (503, "redemptions_frozen")
            assert reason in refused["detail"]
            assert (status["is_current"], status["frozen_reason"]) == (False, reason)
            assert ready["reasons"] == [f"The mirror is frozen: {reason}"]

            async with transaction(engine) as session:
                await mirror_store.unfreeze(session, rewind_to=fork)
            assert (await follower.mirror.step()).rewound == 5
            refused, status, ready = await asked()
            assert refused.get("code") != "redemptions_frozen"
            assert (status["is_current"], status["frozen_reason"], ready["ready"]) == (True, None, True)
