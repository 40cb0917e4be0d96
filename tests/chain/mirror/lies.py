"""Ways to alter a node's answers, and what a mirror must do about each of them."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from eth_utils import keccak

from chain.mirror.kit import wallet
from chain.mirror.proxy import Alteration, Proxy, Refusal
from chain.mirror.world import World
from mereau.chain.headers import _encode
from mereau.chain.mirror import StepOutcome
from mereau.chain.rpc import quantity

Change = Callable[[Any], Any]


def on(method: str, change: Change) -> Alteration:
    """Alter the results of one method."""

    def alter(name: str, params: list[Any], result: Any) -> Any:
        return change(copy.deepcopy(result)) if name == method else result

    return alter


def forged(block: dict[str, Any], **fields: object) -> dict[str, Any]:
    """A block with other fields and the hash that belongs to them."""
    changed = {**block, **fields}
    return {**changed, "hash": "0x" + keccak(_encode(changed)).hex()}


def next_block(world_head: int, change: Change) -> Alteration:
    """Alter the block after the mirror's head, when it is asked for by number."""

    def alter(method: str, params: list[Any], result: Any) -> Any:
        mine = method == "eth_getBlockByNumber" and params[0] == quantity(world_head + 1)
        return change(result) if mine else result

    return alter


def refuse(code: int, message: str) -> Change:
    def raising(result: Any) -> Any:
        raise Refusal(code, message)

    return raising


async def unmoved(world: World, error: type[Exception], words: str | None = None) -> None:
    """The step raises and neither tables nor ledger hear of anything."""
    before, state, heard = await world.contents(), await world.state(), len(world.deltas)
    with pytest.raises(error, match=words):
        await world.mirror.step()
    assert await world.contents() == before
    now = await world.state()
    assert (now.head_hash, now.supply, now.frozen_reason) == (state.head_hash, state.supply, None)
    assert len(world.deltas) == heard


async def recovers(world: World, proxy: Proxy) -> None:
    proxy.alter, proxy.mangle = None, None
    assert (await world.mirror.step()).outcome is StepOutcome.ADVANCED
    assert await world.balances() == {wallet(1): 15, wallet(2): 26}
    assert world.mirror.alarm is None
