"""A ledger world whose orders really go to a chain: keystore signer, relayer, contract, mirror."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from eth_account.signers.local import LocalAccount
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import SEED, LedgerWorld, make_world
from fixtures.chain import fund
from mereau.chain import contract, deployment
from mereau.chain.delta import MirrorDelta
from mereau.chain.finality import Finality
from mereau.chain.mirror import Mirror
from mereau.chain.models import Deployment
from mereau.chain.relayer import Relayer, RelayerPolicy
from mereau.chain.rpc import RpcClient
from mereau.chain.sealer import RejectedOrder
from mereau.core.clock import Clock, SystemClock
from mereau.core.db import WriteSession, transaction
from mereau.ledger import service as ledger
from mereau.ledger.registry import service as registry
from mereau.wallets import service as wallets
from mereau.wallets.keystore import Seed
from mereau.wallets.signing import KeystoreSigner

EPOCH_S = 600
PASSES_MAX = 20
_SYSTEM_CLOCK = SystemClock()
_BY_TAGS = Finality.by_tags()


@dataclass
class SettledWorld:
    """`settle` lets relayer and mirror work in turn until nothing is open."""

    ledger: LedgerWorld
    rpc: RpcClient
    deployment: Deployment
    relayer: Relayer
    mirror: Mirror

    async def settle(self) -> None:
        for _ in range(PASSES_MAX):
            await self.relayer.step()
            while (await self.mirror.step()).blocks:
                pass
            open_orders = await self.ledger.rows(
                "select 1 from chain_orders o left join chain_batches b on b.id = o.batch_id"
                " where o.state = 'queued' or b.state in ('sealed', 'submitted', 'mined') limit 1"
            )
            if not open_orders:
                return
        raise AssertionError("orders are still open")

    async def read(self, name: str, *args: object) -> tuple[object, ...]:
        call = {"to": self.deployment.contract, "data": contract.encode_call(name, *args)}
        return contract.decode_result(name, bytes.fromhex((await self.rpc.call("eth_call", call, "latest"))[2:]))


async def make_settled_world(
    engine: AsyncEngine,
    rpc: RpcClient,
    bank: LocalAccount,
    *,
    seed: Seed = SEED,
    now: datetime,
    member_count: int = 2,
    clock: Clock = _SYSTEM_CLOCK,
    finality: Finality = _BY_TAGS,
) -> SettledWorld:
    """Deploy a token with the world's role keys, register both partners, and mirror from the first block."""
    world = await make_world(engine, member_count=member_count, now=now, seed=seed)
    async with transaction(engine) as session:
        roles = await wallets.ensure_role_wallets(session)
        for partner in world.partners:
            await registry.register_partner(session, partner, now)
    await fund(rpc, bank, [roles["relayer"], roles["partner_admin"]])
    signer = KeystoreSigner(seed, engine)
    config = contract.Config(
        "Points", "PTS", "", 0, roles["admin"], 0, roles["partner_admin"], roles["expirer"], roles["pauser"], 60,
        EPOCH_S, 86_400, transfers_open=False,
    )  # fmt: skip
    deployed = await deployment.deploy(rpc, signer, roles["relayer"], config)
    async with transaction(engine) as session:
        await deployment.save(session, deployed)
        recorded = await deployment.load(session)

    async def on_rejected(session: WriteSession, rejected: Sequence[RejectedOrder]) -> None:
        await ledger.on_rejected(session, rejected, clock.now())

    async def on_progress(session: WriteSession, delta: MirrorDelta) -> None:
        await ledger.settle(session, delta, clock.now())

    relayer = Relayer(
        engine, rpc, signer, clock,
        relayer_address=roles["relayer"], expirer_address=roles["expirer"],
        policy=RelayerPolicy(seal_delay_s=0), on_rejected=on_rejected,
    )  # fmt: skip
    mirror = Mirror(engine, rpc, recorded, clock, finality=finality, on_progress=on_progress)
    return SettledWorld(world, rpc, recorded, relayer, mirror)
