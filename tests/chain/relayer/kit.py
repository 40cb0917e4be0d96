"""A deployed token, a relayer and a mirror on real parts, and the hands that a test needs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import coincurve
from eth_account import Account
from eth_account.signers.local import LocalAccount
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fixtures.chain import fund
from mereau.chain import contract, deployment, orders
from mereau.chain.delta import MirrorDelta
from mereau.chain.fees import FeePolicy, market
from mereau.chain.finality import Finality
from mereau.chain.hashing import keccak
from mereau.chain.mirror import Mirror
from mereau.chain.models import Deployment
from mereau.chain.orders import NewOrder, OrderKind
from mereau.chain.relayer import Progress, Relayer, RelayerPolicy
from mereau.chain.rpc import RpcClient, hex_bytes
from mereau.chain.sealer import RejectedOrder
from mereau.chain.signing import SignerRefusedError
from mereau.chain.transactions import UnsignedTransaction
from mereau.core.clock import Clock, ManualClock, SystemClock
from mereau.core.db import WriteSession, snapshot, transaction

EPOCH_S = 600
PARTNER = 1
NOW = RelayerPolicy(seal_delay_s=0)


def key_of(name: str) -> coincurve.PrivateKey:
    return coincurve.PrivateKey(keccak(name.encode()))


def address_of(key: coincurve.PrivateKey) -> bytes:
    return keccak(key.public_key.format(compressed=False)[1:])[12:]


class Keys:
    """A signer with the keys that a test gave it. `meanwhile` happens once, while the next signature is made."""

    def __init__(self) -> None:
        self._keys: dict[bytes, coincurve.PrivateKey] = {}
        self.signatures = 0
        self.used = asyncio.Event()
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    def add(self, name: str) -> bytes:
        key = key_of(name)
        address = address_of(key)
        self._keys[address] = key
        return address

    def drop(self, address: bytes) -> None:
        del self._keys[address]

    async def until(self, count: int) -> None:
        """Wait until so many signatures were made in all."""
        async with asyncio.timeout(60):
            while self.signatures < count:
                self.used.clear()
                await self.used.wait()

    async def sign(self, requests: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        signatures = []
        for address, digest in requests:
            if address not in self._keys:
                raise SignerRefusedError(f"no key for 0x{address.hex()}")
            raw = self._keys[address].sign_recoverable(digest, hasher=None)
            signatures.append(raw[:64] + bytes([raw[64] + 27]))
            self.signatures += 1
            self.used.set()
        return signatures


@dataclass
class Actors:
    """Fresh addresses of one test."""

    admin: bytes
    partner_admin: bytes
    expirer: bytes
    pauser: bytes
    relayer: bytes
    partner: bytes


@dataclass
class Desk:
    """Everything around one token."""

    name: str
    engine: AsyncEngine
    rpc: RpcClient
    keys: Keys
    actors: Actors
    deployment: Deployment
    finality: Finality
    clock: Clock = field(default_factory=SystemClock)
    rejected: list[RejectedOrder] = field(default_factory=list)
    made: int = 0

    def relayer(self, policy: RelayerPolicy = NOW, *, rpc: RpcClient | None = None, **changes: Any) -> Relayer:
        return Relayer(
            self.engine,
            rpc or self.rpc,
            self.keys,
            self.clock,
            relayer_address=self.actors.relayer,
            expirer_address=self.actors.expirer,
            policy=replace(policy, **changes),
            on_rejected=self._note_rejected,
        )

    async def _note_rejected(self, session: WriteSession, rejected: Sequence[RejectedOrder]) -> None:
        self.rejected += rejected

    def mirror(self, on_progress: Callable[[WriteSession, MirrorDelta], Awaitable[None]] | None = None) -> Mirror:
        async def ignore(session: WriteSession, delta: MirrorDelta) -> None:
            return

        return Mirror(
            self.engine,
            self.rpc,
            self.deployment,
            self.clock,
            finality=self.finality,
            on_progress=on_progress or ignore,
        )

    async def follow(self) -> None:
        """Let the mirror come up to the node's head."""
        mirror = self.mirror()
        while (await mirror.step()).blocks:
            pass

    async def cycle(self, relayer: Relayer, times: int = 1) -> Progress:
        """Relayer and mirror in turn; the last pass's progress."""
        progress = Progress()
        for _ in range(times):
            progress = await relayer.step()
            await self.follow()
        return progress

    def member(self, number: int) -> bytes:
        """A managed member's wallet."""
        return self.keys.add(f"{self.name} member {number}")

    def order(self, kind: OrderKind, wallet: bytes, tokens: int, **changes: Any) -> NewOrder:
        self.made += 1
        order_id = f"ent_{self.name}_{self.made:06d}"
        partner = None if kind is OrderKind.EXPIRE else PARTNER
        return replace(
            NewOrder(order_id, kind, partner, wallet, tokens, keccak(order_id.encode() + b"record")), **changes
        )

    def admin_order(self, call_data: bytes, sender: bytes) -> NewOrder:
        self.made += 1
        order_id = f"adm_{self.name}_{self.made:06d}"
        return NewOrder(order_id, OrderKind.ADMIN, PARTNER, None, 0, None, call_data=call_data, sender=sender)

    async def enqueue(self, *new: NewOrder) -> list[str]:
        async with transaction(self.engine) as session:
            await orders.enqueue(session, new)
        return [order.id for order in new]

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        async with snapshot(self.engine) as session:
            return list((await session.execute(text(statement), parameters)).all())

    async def states(self) -> dict[str, str]:
        return {row.id: row.state for row in await self.rows("select id, state from chain_orders")}

    async def batches(self) -> list[Any]:
        return await self.rows("select * from chain_batches order by seq")

    async def balance(self, wallet: bytes) -> int:
        return int((await self.read("balanceOf", wallet))[0])

    async def read(self, name: str, *args: Any) -> tuple[Any, ...]:
        call = {"to": self.deployment.contract, "data": contract.encode_call(name, *args)}
        return contract.decode_result(name, hex_bytes(await self.rpc.call("eth_call", call, "latest")))

    async def sequence(self) -> int:
        return int((await self.read("partnerSequence", PARTNER))[0])

    async def send(self, sender: bytes, data: bytes, *, target: bytes | None = None, gas: int = 3_000_000) -> bytes:
        """A transaction outside the relayer, from a key that the test holds; returns its hash."""
        return await send_as(self.rpc, self.keys, sender, data, target or self.deployment.contract, gas)

    async def register(self, signer: bytes | None = None, **changes: Any) -> None:
        terms: dict[str, Any] = {"allowance": None, "period_cap": None, "active": True, **changes}
        await self.send(
            self.actors.partner_admin,
            contract.encode_set_partner(PARTNER, signer or self.actors.partner, **terms),
        )

    async def issue_directly(self, items: Sequence[tuple[bytes, int]], root: bytes) -> None:
        """Use the partner's next sequence behind the relayer's back."""
        sequence = await self.sequence() + 1
        domain = contract.OrderDomain(self.deployment.chain_id, self.deployment.contract)
        packed = contract.pack_list(items)
        (signature,) = await self.keys.sign(
            [(self.actors.partner, domain.issue_digest(PARTNER, sequence, root, packed))]
        )
        call = contract.encode_call("issue", PARTNER, sequence, root, packed, signature)
        await self.send(self.actors.admin, call)


async def register(desk: Desk, number: int, **changes: Any) -> bytes:
    """Another partner with a key of its own; its signer."""
    signer = desk.keys.add(f"{desk.name} partner {number}")
    terms: dict[str, Any] = {"allowance": None, "period_cap": None, "active": True, **changes}
    await desk.send(desk.actors.partner_admin, contract.encode_set_partner(number, signer, **terms))
    return signer


async def send_as(rpc: RpcClient, keys: Keys, sender: bytes, data: bytes, target: bytes, gas: int = 3_000_000) -> bytes:
    chain_id = int(await rpc.call("eth_chainId"), 16)
    nonce = int(await rpc.call("eth_getTransactionCount", sender, "pending"), 16)
    fees = (await market(rpc, FeePolicy())).fees
    unsigned = UnsignedTransaction(chain_id, nonce, fees, gas, target, data)
    (signature,) = await keys.sign([(sender, unsigned.digest())])
    signed = unsigned.signed(signature)
    await rpc.call("eth_sendRawTransaction", signed.raw)
    return signed.hash


async def open_desk(name: str, engine: AsyncEngine, rpc: RpcClient, bank: LocalAccount, finality: Finality) -> Desk:
    """Deploy a token of the test's own, record it, and register partner 1."""
    keys = Keys()
    actors = Actors(
        *(keys.add(f"{name} {role}") for role in ("admin", "partner_admin", "expirer", "pauser", "relayer", "partner"))
    )
    await fund(rpc, bank, [actors.admin, actors.partner_admin, actors.pauser, actors.relayer])
    config = contract.Config(
        "Points", "PTS", "", 0, actors.admin, 0, actors.partner_admin, actors.expirer, actors.pauser, 60, EPOCH_S,
        86_400, transfers_open=False,
    )  # fmt: skip
    deployed = await deployment.deploy(rpc, keys, actors.admin, config)
    async with transaction(engine) as session:
        await deployment.save(session, deployed)
        recorded = await deployment.load(session)
    desk = Desk(name, engine, rpc, keys, actors, recorded, finality)
    await desk.register()
    keys.signatures = 0
    return desk


def frozen(desk: Desk) -> ManualClock:
    """Put a clock in the desk that only the test moves."""
    clock = ManualClock(SystemClock().now())
    desk.clock = clock
    return clock


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def bank_account() -> LocalAccount:
    account: LocalAccount = Account.from_key((1).to_bytes(32, "big"))
    return account
