"""Every write of the product at which it can die, and what leads there. The one list: a test holds it complete.

A scene puts the installation into a state in which the next worker that starts makes the write.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, get_args

from faults.mortal import Moment
from faults.stage import DEPTH, Stage
from mereau.chain.fees import GWEI

SEND: Final = "send"
"""Not a commit: the broadcast itself, between the writes `sign` and `broadcast`."""
ACCEPT: Final = "accept"
"""Made by the API, for a request."""
BY_HAND: Final = frozenset({"unfreeze"})
"""Made by an operator's command, who sees whether it ended and gives it again; no worker is killed at it."""
_TRANSACTIONS_MAX: Final = 8
_STATES = "select state from chain_batches order by seq desc limit 1"


@dataclass(frozen=True)
class Scene:
    """`mining`: whether blocks come while the worker is on its way to the write. `check`: what must hold at last."""

    writes: tuple[str, ...]
    arrange: Callable[[Stage], Awaitable[None]]
    mining: bool = True
    check: Callable[[Stage], Awaitable[None]] = Stage.assert_exact


async def sell(stage: Stage) -> None:
    """Three credits and a reversal wait for their batches."""
    first = await stage.ledger.credit(5, 1)
    await stage.ledger.credit(7, 2)
    await stage.ledger.credit(9, 2)
    await stage.ledger.reverse(first, 2)


async def forget_the_mirror(stage: Stage) -> None:
    """The mirror can be rebuilt from the chain; here it has to."""
    await sell(stage)
    await stage.ledger.write("truncate chain_mirror, chain_blocks, chain_transfers, chain_events, chain_balances")


async def oversell(stage: Stage) -> None:
    """Two credits of the kiosk, of which its allowance covers one."""
    await stage.ledger.credit(8, 1, partner=2)
    await stage.ledger.credit(8, 2, partner=2)


async def run_short(stage: Stage) -> None:
    """Gas money for this work, and not for much more."""
    await sell(stage)
    (row,) = await stage.ledger.rows("select address from wallets where owner_kind = 'role' and owner_id = 'relayer'")
    await stage.rpc.call("anvil_setBalance", "0x" + row.address.hex(), hex(2 * 10**16))


async def batch_is(stage: Stage, state: str) -> None:
    async def reached() -> bool:
        return [row.state for row in await stage.ledger.rows(_STATES)] == [state]

    await stage.until(reached, f"a {state} batch")


async def spike_fees(stage: Stage) -> None:
    """A transaction waits, and the base fee rises a hundredfold above it."""
    await stage.rpc.call("evm_setAutomine", False)
    await sell(stage)
    async with stage.working():
        await batch_is(stage, "submitted")
    await stage.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(100 * GWEI))
    await stage.mine()
    await stage.age(61)


async def reorganise(stage: Stage) -> None:
    """The block of a batch that the mirror has seen leaves the chain, and nobody's pool has the transaction."""
    await stage.ledger.credit(5, 1)
    async with stage.working():
        await batch_is(stage, "mined")
    await stage.rpc.call("anvil_reorg", 1, [])
    await stage.age(30)


async def reorganise_deeply(stage: Stage) -> None:
    """Final blocks leave the chain, and credits with them."""
    await sell(stage)
    await stage.finished()
    head = int(await stage.rpc.call("eth_blockNumber"), 16)
    (batch,) = await stage.ledger.rows("select max(block_number) as number from chain_batches")
    await stage.rpc.call("anvil_reorg", head - batch.number + 1, [])


async def lower_the_depth(stage: Stage) -> None:
    """Blocks become final without a new one: the operator chose a lower depth."""
    await sell(stage)
    async with stage.working(MEREAU_FINALITY_DEPTH_BLOCKS="50"):
        await batch_is(stage, "mined")
        await stage.mine(DEPTH)
        await stage.caught_up()


async def idle(stage: Stage) -> None:
    """Nothing happens for longer than a mirror stays silent."""
    await stage.age(30)


async def outlive_a_signature(stage: Stage) -> None:
    """A redemption is mined only after its deadline; it reverts, and that is final."""
    await stage.rpc.call("evm_setAutomine", False)
    await stage.ledger.hold(40)
    async with stage.working():
        await batch_is(stage, "submitted")
    await stage.rpc.call("evm_increaseTime", 4_000)
    await stage.mine(DEPTH + 1)


async def spend_nonces(stage: Stage) -> None:
    """The node takes each transaction and forgets it, and somebody else spends the nonce."""
    stage.gate.swallows = True
    await stage.ledger.credit(5, 1)
    async with stage.working():
        for count in range(1, _TRANSACTIONS_MAX + 1):
            await sent(stage, count)
            if count < _TRANSACTIONS_MAX:
                await spend_last(stage)
    await spend_last(stage)


async def sent(stage: Stage, count: int) -> None:
    async def reached() -> bool:
        return len(stage.gate.sent) >= count

    await stage.until(reached, f"transaction {count}")


async def spend_last(stage: Stage) -> None:
    (row,) = await stage.ledger.rows("select sender, nonce from chain_transactions order by created_at desc limit 1")
    await stage.rpc.call("anvil_setNonce", "0x" + row.sender.hex(), hex(row.nonce + 1))
    await stage.mine()


async def is_exact_after_bumps(stage: Stage) -> None:
    await stage.assert_exact(bumped=True)


async def is_frozen(stage: Stage) -> None:
    """Hard stop: the reason stands, and nothing was taken from the members or given to them."""
    (state,) = await stage.ledger.rows("select frozen_reason, supply from chain_mirror")
    assert "below the final block" in state.frozen_reason
    mirrored = await stage.ledger.rows("select tokens from chain_balances where tokens > 0 order by tokens")
    assert [row.tokens for row in mirrored] == [3, 16, 100]
    assert state.supply == 119


async def is_stuck(stage: Stage) -> None:
    """Left to an operator, and nothing of it on the chain."""
    assert [row.state for row in await stage.ledger.rows(_STATES)] == ["stuck"]
    assert await stage.minted() == [100]


SCENES: Final = (
    Scene(("seal", "sign", SEND, "broadcast", "apply", "close"), sell),
    Scene(("begin",), forget_the_mirror),
    Scene(("reject",), oversell),
    Scene(("alarm",), run_short),
    Scene(("bump",), spike_fees, mining=False, check=is_exact_after_bumps),
    Scene(("undo",), reorganise, mining=False),
    Scene(("finalise",), lower_the_depth, mining=False),
    Scene(("touch",), idle, mining=False),
    Scene(("release", "supersede"), outlive_a_signature),
    Scene(("freeze",), reorganise_deeply, mining=False, check=is_frozen),
    Scene(("stick",), spend_nonces, check=is_stuck),
)
POINTS: Final = [(scene, write, moment) for scene in SCENES for write in scene.writes for moment in get_args(Moment)]
