"""Tables that other hands changed: the mirror stops rather than guess."""

import pytest
from sqlalchemy import update

from chain.mirror.kit import wallet
from chain.mirror.world import World
from mereau.chain.mirror import StepOutcome
from mereau.chain.models import ChainBalance
from mereau.core.db import transaction


@pytest.mark.parametrize("left", [0, None], ids=["too little", "unknown wallet"])
async def test_tables_changed_by_other_hands_freeze_the_mirror(world: World, left: int | None) -> None:
    """Proven debits that the stored balances cannot bear: the mirror stops rather than guess."""
    await world.token.issue([(wallet(1), 5)])
    await world.mirror.step()
    async with transaction(world.engine) as session:
        if left is None:
            row = await session.get(ChainBalance, wallet(1))
            await session.delete(row)
        else:
            await session.execute(update(ChainBalance).values(tokens=left))
    await world.token.reverse([(wallet(1), 3)])
    before = await world.contents()
    assert (await world.mirror.step()).outcome is StepOutcome.FROZEN
    assert "a wallet gave" in str((await world.state()).frozen_reason)
    assert await world.contents() == before


@pytest.mark.node
@pytest.mark.parametrize("left", [0, None], ids=["too little", "unknown wallet"])
async def test_an_undo_that_does_not_fit_freezes_the_mirror(anvil_world: World, left: int | None) -> None:
    token = anvil_world.token
    await token.issue([(wallet(1), 5)])
    await anvil_world.mirror.step()
    async with transaction(anvil_world.engine) as session:
        if left is None:
            row = await session.get(ChainBalance, wallet(1))
            await session.delete(row)
        else:
            await session.execute(update(ChainBalance).values(tokens=left))
    await token.rpc.call("anvil_reorg", 1, [])
    before = await anvil_world.contents()
    assert (await anvil_world.mirror.step()).outcome is StepOutcome.FROZEN
    assert "a wallet" in str((await anvil_world.state()).frozen_reason)
    assert await anvil_world.contents() == before
