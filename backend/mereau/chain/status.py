"""How the mirror and its node are doing, for /chain/status, /supply and readiness."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.alarms import Alarm, alarms
from mereau.chain.errors import RpcError, RpcUnavailableError
from mereau.chain.models import Deployment, MirrorState
from mereau.chain.rpc import RpcClient

_STALE_AFTER_S: Final = 30


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """What is known of the chain. `head_*` are the mirror's and None before its first step.

    `head_age_s` is the time since the head block was made; a chain that makes blocks only for transactions
    grows old while nothing happens, so it alarms on other chains only. `checked_age_s` is the time since a
    mirror last heard of its node. `node_head_number` was asked just now where a node was given and answered
    (`node_answers`), else it is the mirror's last word. `lag_blocks` is what the mirror has not read of it.
    `alarms` stand until whatever set them finds them gone.
    """

    chain_id: int
    contract: bytes
    head_number: int | None
    head_hash: bytes | None
    head_age_s: int | None
    final_number: int | None
    checked_age_s: int | None
    node_head_number: int | None
    node_answers: bool | None
    lag_blocks: int | None
    frozen_reason: str | None
    alarms: Sequence[Alarm]

    @property
    def is_current(self) -> bool:
        """Whether balances may be relied on: nothing in `faults`."""
        return not self.faults

    @property
    def faults(self) -> list[str]:
        """Why the mirror's balances may be old or wrong, a sentence each; none while all is well."""
        found = [f"{alarm.name}: {alarm.detail}" for alarm in self.alarms if alarm.makes_unready]
        if self.frozen_reason is not None:
            return [f"The mirror is frozen: {self.frozen_reason}", *found]
        if self.checked_age_s is None or self.checked_age_s > _STALE_AFTER_S:
            return ["The mirror has not heard of the chain lately.", *found]
        return found


@dataclass(frozen=True, slots=True)
class Supply:
    """All tokens there are, after the block named."""

    tokens: int
    block_number: int
    block_hash: bytes


async def chain_status(session: AsyncSession, rpc: RpcClient | None = None) -> ChainStatus | None:
    """The state of the mirror and, with `rpc`, the head of a node; None where nothing is deployed yet.

    Never raises for a node that does not answer: that is a finding.
    """
    deployment = await session.get(Deployment, 1)
    if deployment is None:
        return None
    now_s = cast(func.floor(func.extract("epoch", func.clock_timestamp())), BigInteger)
    checked_s = cast(func.floor(func.extract("epoch", MirrorState.checked_at)), BigInteger)
    row = (await session.execute(select(MirrorState, now_s, checked_s))).one_or_none()
    standing = await alarms(session)
    answered = await _node_head(rpc)
    if row is None:
        return _before_first_step(deployment, answered, standing, asked=rpc is not None)
    state, now, checked = row
    node_head = state.node_head_number if answered is None else answered
    return ChainStatus(
        chain_id=deployment.chain_id,
        contract=deployment.contract,
        head_number=state.head_number,
        head_hash=state.head_hash,
        head_age_s=max(0, now - state.head_timestamp_s),
        final_number=state.final_number,
        checked_age_s=max(0, now - checked),
        node_head_number=node_head,
        node_answers=None if rpc is None else answered is not None,
        lag_blocks=max(0, node_head - state.head_number),
        frozen_reason=state.frozen_reason,
        alarms=standing,
    )


async def supply(session: AsyncSession) -> Supply | None:
    """The supply at the mirror's head, None before its first step."""
    state = await session.get(MirrorState, 1)
    return None if state is None else Supply(state.supply, state.head_number, state.head_hash)


async def _node_head(rpc: RpcClient | None) -> int | None:
    if rpc is None:
        return None
    try:
        return int(await rpc.call("eth_blockNumber"), 16)
    except (RpcUnavailableError, RpcError, TypeError, ValueError):
        return None


def _before_first_step(
    deployment: Deployment, node_head: int | None, standing: Sequence[Alarm], *, asked: bool
) -> ChainStatus:
    return ChainStatus(
        chain_id=deployment.chain_id,
        contract=deployment.contract,
        head_number=None,
        head_hash=None,
        head_age_s=None,
        final_number=None,
        checked_age_s=None,
        node_head_number=node_head,
        node_answers=node_head is not None if asked else None,
        lag_blocks=None,
        frozen_reason=None,
        alarms=standing,
    )
