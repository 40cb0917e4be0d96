"""Relayer, mirror and jobs, each wired to the ledger and the rewards that must hear of what happens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.auth.tasks import forget_idempotency_keys
from mereau.chain import deployment
from mereau.chain.broadcasting import BroadcastPolicy
from mereau.chain.delta import MirrorDelta
from mereau.chain.fees import GWEI, FeePolicy
from mereau.chain.finality import Finality
from mereau.chain.mirror import Mirror
from mereau.chain.models import Deployment
from mereau.chain.relayer import Relayer, RelayerPolicy
from mereau.chain.relayer_alarms import FundsPolicy
from mereau.chain.rpc import RpcClient
from mereau.chain.sealer import RejectedOrder
from mereau.chain.sealing import Limits
from mereau.chain.simulation import GasPolicy
from mereau.core.clock import Clock, SystemClock
from mereau.core.config import Settings
from mereau.core.db import WriteSession, create_engine, transaction
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout, read_voucher_secret
from mereau.core.revision import check_revision
from mereau.earning.attempts.tasks import forget_attempts
from mereau.earning.milestones import tasks as milestones
from mereau.earning.referrals.qualifying import tasks as referrals
from mereau.journal import tasks as journal
from mereau.ledger import service as ledger
from mereau.ledger import tasks as ledger_tasks
from mereau.rewards import tasks as rewards
from mereau.rewards.fulfilment import tasks as deliveries
from mereau.rewards.surveys import tasks as surveys
from mereau.segments import tasks as segments
from mereau.tiers import tasks as tiers
from mereau.wallets import service as wallets
from mereau.wallets.signing import KeystoreSigner
from mereau.worker.daily import DailyOrder, Step
from mereau.worker.jobs import Job, JobRunner
from mereau.worker.secrets import unlock

_HOUR_S: Final = 3600.0
_SECOND_TIMEOUT_S: Final = 5.0


class Part(Protocol):
    """Something that runs until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None: ...


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the parts of one process share."""

    settings: Settings
    engine: AsyncEngine
    rpc: RpcClient
    deployment: Deployment
    clock: Clock


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Workshop]:
    """Connect to the installation.

    ConfigurationError where a URL is missing or names another chain, or the database needs a migration.
    """
    if settings.database_url is None or settings.chain_url is None:
        raise ConfigurationError("Set MEREAU_DATABASE_URL and MEREAU_CHAIN_URL, or start with `mereau up`.")
    engine = create_engine(settings.database_url, connections_max=settings.pool_connections_max)
    try:
        async with RpcClient(settings.chain_url) as rpc:
            async with transaction(engine) as session:
                await check_revision(session)
                found = await deployment.check_identity(session, rpc)
            yield Workshop(settings, engine, rpc, found, SystemClock())
    finally:
        await engine.dispose()


class _RelayerPart:
    """A relayer that hands its lease over when it ends, so that a standby need not wait."""

    def __init__(self, relayer: Relayer) -> None:
        self._relayer = relayer

    async def run(self, stop: asyncio.Event) -> None:
        async with self._relayer as relayer:
            await relayer.run(stop)


async def make_relayer(shop: Workshop) -> Part:
    """The relayer; needs the keystore, which nothing else of the running system does."""
    signer = KeystoreSigner(unlock(shop.settings), shop.engine)
    async with transaction(shop.engine) as session:
        roles = await wallets.ensure_role_wallets(session)

    async def on_rejected(session: WriteSession, rejected: Sequence[RejectedOrder]) -> None:
        await ledger.on_rejected(session, rejected, shop.clock.now())

    return _RelayerPart(
        Relayer(
            shop.engine,
            shop.rpc,
            signer,
            shop.clock,
            relayer_address=roles["relayer"],
            expirer_address=roles["expirer"],
            policy=relayer_policy(shop.settings),
            on_rejected=on_rejected,
        )
    )


def relayer_policy(settings: Settings) -> RelayerPolicy:
    """What the settings say of batches, gas and fees."""
    return RelayerPolicy(
        seal_delay_s=settings.seal_delay_s,
        limits=Limits(orders_max=settings.seal_orders_max),
        gas=GasPolicy(settings.transaction_gas_max, settings.block_gas_percent_max),
        funds=FundsPolicy(settings.funds_batches_min),
        broadcast=BroadcastPolicy(fees=FeePolicy(fee_max_wei=int(settings.fee_max_gwei * GWEI))),
    )


class _MirrorPart:
    """A mirror, with the connection to its second node where there is one."""

    def __init__(self, mirror: Mirror, second: RpcClient | None) -> None:
        self._mirror = mirror
        self._second = second

    async def run(self, stop: asyncio.Event) -> None:
        try:
            await self._mirror.run(stop)
        finally:
            if self._second is not None:
                await self._second.close()


async def make_mirror(shop: Workshop) -> Part:
    """The mirror; each of its transactions also settles the ledger."""
    settings = shop.settings
    depth = settings.finality_depth_blocks
    age_max_s = settings.chain_head_age_max_s
    second = None
    if settings.chain_second_url is not None:
        second = RpcClient(settings.chain_second_url, timeout_s=_SECOND_TIMEOUT_S)

    async def on_progress(session: WriteSession, delta: MirrorDelta) -> None:
        if not delta.is_empty:
            await ledger.settle(session, delta, shop.clock.now())

    mirror = Mirror(
        shop.engine,
        shop.rpc,
        shop.deployment,
        shop.clock,
        finality=Finality.by_tags() if settings.finality == "tags" else Finality.by_depth(depth),
        on_progress=on_progress,
        second=second,
        head_age_max=None if age_max_s is None else timedelta(seconds=age_max_s),
    )
    return _MirrorPart(mirror, second)


async def make_jobs(shop: Workshop) -> Part:
    """The periodic jobs: what follows from events and time, and once a day, in its own order, the daily run."""
    secret = read_voucher_secret(Layout(shop.settings.data_dir))
    expirable = ledger_tasks.chain_reader(shop.rpc, shop.deployment.contract)

    async def expire(engine: AsyncEngine, now: datetime) -> int:
        return await ledger_tasks.expire_due(engine, now, expirable)

    async def follow(engine: AsyncEngine, now: datetime) -> int:
        return await rewards.follow_ledger(engine, secret, shop.clock)

    async def vouchers(engine: AsyncEngine, now: datetime) -> int:
        return await rewards.expire_vouchers(engine, shop.clock)

    async def ask(engine: AsyncEngine, now: datetime) -> int:
        return await surveys.follow_deliveries(engine, secret, now)

    async def seal(engine: AsyncEngine, now: datetime) -> int:
        return await journal.seal(engine)

    daily = DailyOrder(
        [
            Step("activate_due", ledger_tasks.activate_due),
            Step("automatic_rewards", rewards.automatic),
            Step("tiers", tiers.walk_next, in_pieces=True),
            Step("expire_due", expire),
            Step("tiers_after_expiry", tiers.follow),
        ]
    )
    jobs = [
        Job("activate_due", 1.0, ledger_tasks.activate_due),
        Job("walk_tiers", 1.0, tiers.walk_next),
        Job("daily_order", 1.0, daily.run),
        Job("end_tier_graces", 60.0, tiers.end_graces),
        Job("follow_tiers", 1.0, tiers.follow),
        Job("refresh_segments", 1.0, segments.refresh_next),
        Job("follow_ledger", 0.0, follow),
        Job("announce_expiries", _HOUR_S, ledger_tasks.announce_expiries),
        Job("expire_vouchers", 60.0, vouchers),
        Job("follow_redemptions", 0.0, deliveries.follow_redemptions),
        Job("ask_surveys", 1.0, ask),
        Job("follow_milestones", 1.0, milestones.follow_events),
        Job("follow_referrals", 1.0, referrals.follow_purchases),
        Job("celebrate", _HOUR_S, milestones.celebrate),
        Job("expire_referrals", _HOUR_S, referrals.expire_referrals),
        Job("forget_attempts", _HOUR_S, forget_attempts),
        Job("forget_recipients", _HOUR_S, deliveries.forget_recipients),
        Job("seal_journal", 2.0, seal),
        Job("forget_idempotency_keys", _HOUR_S, forget_idempotency_keys),
    ]
    return JobRunner(shop.engine, shop.clock, jobs)


PARTS: Final[Mapping[str, Callable[[Workshop], Awaitable[Part]]]] = {
    "relayer": make_relayer,
    "mirror": make_mirror,
    "jobs": make_jobs,
}
