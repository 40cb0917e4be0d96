"""Relayer, mirror and jobs wired together, in one event loop, on a real database and a real chain."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3

from fixtures.chain import ChainNode
from mereau.core.clock import SystemClock
from mereau.core.config import Settings
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConfigurationError
from mereau.core.ids import new_id
from mereau.core.layout import Layout, read_voucher_secret
from mereau.journal import service as journal
from mereau.ledger import service as ledger
from mereau.ledger.reconciliation.service import reconcile
from mereau.ledger.registry import service as registry
from mereau.ledger.service import Credit
from mereau.members import service as members
from mereau.members.service import MemberDraft
from mereau.partners import service as partners
from mereau.partners.models import Partner
from mereau.partners.service import PartnerDraft
from mereau.rewards import service as rewards
from mereau.rewards.catalogue.domain import RewardDraft
from mereau.worker.parts import PARTS, Workshop, opened
from mereau.worker.prepare import install
from mereau.worker.secrets import draw_keys

CLOCK = SystemClock()


@pytest.fixture
async def settings(tmp_path: Path, database_url: str, chain_node: ChainNode) -> Settings:
    """An installation of the test's own on the shared chain."""
    made = Settings(
        data_dir=tmp_path,
        database_url=database_url,
        chain_url=chain_node.url,
        keystore_password=None,
        keystore_password_file=tmp_path / "keystore.password",
        seal_delay_s=0.1,
    )
    draw_keys(made)
    await asyncio.to_thread(fund, chain_node, json.loads(Layout(tmp_path).funded.read_text()))
    await install(made)
    return made


def fund(node: ChainNode, addresses: list[str]) -> None:
    w3 = Web3(HTTPProvider(node.url))
    payer = node.accounts[10]
    for address in addresses:
        transaction = {
            "to": Web3.to_checksum_address(address),
            "value": 10**18,
            "gas": 21_000,
            "nonce": w3.eth.get_transaction_count(payer.address),
            "chainId": w3.eth.chain_id,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
        }
        sent = w3.eth.send_raw_transaction(payer.sign_transaction(transaction).raw_transaction)
        w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.02)


@asynccontextmanager
async def at_work(settings: Settings, *parts: str) -> AsyncIterator[Workshop]:
    """The parts named, running until the block ends; their failures fail the test."""
    stop = asyncio.Event()
    async with opened(settings) as shop:
        running = [await PARTS[part](shop) for part in parts]
        async with asyncio.TaskGroup() as group:
            for part in running:
                group.create_task(part.run(stop))
            try:
                yield shop
            finally:
                stop.set()


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not await condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.1)


async def take_in(shop: Workshop, name: str, allowance_tokens: int | None = None) -> Partner:
    async with transaction(shop.engine) as session:
        partner = await partners.create(session, PartnerDraft(name, name, allowance_tokens), CLOCK.now())
        await registry.register_partner(session, partner, CLOCK.now())
    return partner


async def enrol(shop: Workshop, *names: str) -> dict[str, str]:
    async with transaction(shop.engine) as session:
        return await members.ensure_members(session, [MemberDraft(name) for name in names], CLOCK.now())


async def give(shop: Workshop, partner: Partner, member_id: str, tokens: int) -> str:
    now = CLOCK.now()
    credit = Credit(
        entry_id=new_id("ent", now), member_id=member_id, partner_id=partner.id, staff_id=None, tokens=tokens,
        source_id=new_id("sal", now), source_reference="receipt", rule=None, reason_code="sale",
        occurred_at=now, activates_at=now, expires_at=None,
    )  # fmt: skip
    async with transaction(shop.engine) as session:
        await ledger.credit(session, [credit], now)
    return credit.entry_id


async def status_of(shop: Workshop, member_id: str, entry_id: str) -> str:
    async with snapshot(shop.engine) as session:
        found = await ledger.entries(session, member_id, None, 100)
    return next(entry.status for entry in found if entry.id == entry_id)


async def available(shop: Workshop, member_id: str) -> int:
    async with snapshot(shop.engine) as session:
        return (await ledger.balance(session, member_id)).available


async def test_a_credit_becomes_final_and_a_reward_is_granted(settings: Settings) -> None:
    async with at_work(settings, "relayer", "mirror", "jobs") as shop:
        shop_partner = await take_in(shop, "shop")
        member = (await enrol(shop, "ada"))["ada"]
        entry = await give(shop, shop_partner, member, 500)

        async def is_final() -> bool:
            return await status_of(shop, member, entry) == "final"

        await until(is_final)
        async with transaction(shop.engine) as session:
            draft = RewardDraft("cake", shop_partner.id, "Gâteau", "Cake", 120)
            reward = await rewards.create_reward(session, draft, CLOCK.now(), actor="test")
            ordered = await rewards.redeem(session, rewards.Wish(member, reward.id, "first"), CLOCK.now())

        async def is_granted() -> bool:
            async with snapshot(shop.engine) as session:
                return (await rewards.get_redemption(session, ordered.id)).state == "granted"

        await until(is_granted)
        async with snapshot(shop.engine) as session:
            granted = await rewards.get_redemption(session, ordered.id)
            balance = await ledger.balance(session, member)
        assert rewards.voucher_of(granted, read_voucher_secret(Layout(settings.data_dir)))
        assert (balance.available, balance.held, balance.on_chain) == (380, 0, 380)
        report = await reconcile(shop.engine, shop.rpc)
        assert (report.supply_chain, report.drift_tokens) == (380, 0)


async def test_what_the_contract_refuses_is_taken_back(settings: Settings) -> None:
    """The twin: beyond the allowance nothing is minted, and the ledger says so."""
    async with at_work(settings, "relayer", "mirror", "jobs") as shop:
        small = await take_in(shop, "small", allowance_tokens=100)
        known = await enrol(shop, "ada", "bob")
        within = await give(shop, small, known["ada"], 90)

        async def is_done() -> bool:
            return await status_of(shop, known["ada"], within) in {"mined", "final"}

        await until(is_done)
        beyond = await give(shop, small, known["bob"], 50)
        assert await available(shop, known["bob"]) == 50

        async def is_rejected() -> bool:
            return await status_of(shop, known["bob"], beyond) == "rejected"

        await until(is_rejected)
        assert await available(shop, known["bob"]) == 0
        assert await available(shop, known["ada"]) == 90
        report = await reconcile(shop.engine, shop.rpc)
        assert (report.supply_chain, report.drift_tokens) == (90, 0)


async def test_parts_of_different_processes_meet_in_the_database(settings: Settings) -> None:
    """The relayer seals while no mirror runs; the mirror finds everything later."""
    async with at_work(settings, "mirror") as shop:
        partner = await take_in(shop, "shop")
        member = (await enrol(shop, "ada"))["ada"]
        entry = await give(shop, partner, member, 10)
        await asyncio.sleep(0.3)
        assert await status_of(shop, member, entry) == "accepted"
    async with at_work(settings, "relayer") as shop:

        async def is_sent() -> bool:
            return await status_of(shop, member, entry) in {"sealed", "submitted"}

        await until(is_sent)
    async with at_work(settings, "mirror", "relayer") as shop:

        async def is_mined() -> bool:
            return await status_of(shop, member, entry) in {"mined", "final"}

        await until(is_mined)
        assert (await reconcile(shop.engine, shop.rpc)).drift_tokens == 0


async def test_the_journal_is_sealed_by_the_jobs(settings: Settings) -> None:
    async with at_work(settings, "jobs") as shop:

        async def is_sealed() -> bool:
            async with snapshot(shop.engine) as session:
                return await journal.head(session) != bytes(32)

        await until(is_sealed)
        async with snapshot(shop.engine) as session:
            assert await journal.verify(session) == []


async def test_a_second_worker_stands_by(settings: Settings) -> None:
    async with at_work(settings, "relayer", "mirror", "jobs") as shop, at_work(settings, "relayer", "mirror", "jobs"):
        partner = await take_in(shop, "shop")
        member = (await enrol(shop, "ada"))["ada"]
        entry = await give(shop, partner, member, 10)

        async def is_mined() -> bool:
            return await status_of(shop, member, entry) in {"mined", "final"}

        await until(is_mined)
        assert (await reconcile(shop.engine, shop.rpc)).supply_chain == 10


async def test_finality_may_be_a_depth(settings: Settings) -> None:
    """On a chain without tags: nothing is final while it is not deep enough."""
    deep = settings.model_copy(update={"finality": "depth", "finality_depth_blocks": 10_000})
    async with at_work(deep, "relayer", "mirror") as shop:
        partner = await take_in(shop, "shop")
        member = (await enrol(shop, "ada"))["ada"]
        entry = await give(shop, partner, member, 10)

        async def is_mined() -> bool:
            return await status_of(shop, member, entry) == "mined"

        await until(is_mined)
        await asyncio.sleep(0.5)
        assert await status_of(shop, member, entry) == "mined"


@pytest.mark.parametrize("missing", ["database_url", "chain_url"])
async def test_both_servers_must_be_named(tmp_path: Path, missing: str) -> None:
    named = Settings(data_dir=tmp_path, database_url="postgresql://d/x", chain_url="http://c")
    with pytest.raises(ConfigurationError, match="MEREAU_DATABASE_URL and MEREAU_CHAIN_URL"):
        async with opened(named.model_copy(update={missing: None})):
            pytest.fail("there is nothing to work on")


async def test_a_database_without_an_installation_is_refused(tmp_path: Path, database_url: str, chain_url: str) -> None:
    named = Settings(data_dir=tmp_path, database_url=database_url, chain_url=chain_url)
    with pytest.raises(ConfigurationError, match="No contract is deployed"):
        async with opened(named):
            pytest.fail("there is nothing to work on")


async def test_jobs_need_the_voucher_secret(settings: Settings) -> None:
    Layout(settings.data_dir).voucher_secret.unlink()
    async with opened(settings) as shop:
        with pytest.raises(ConfigurationError, match="voucher"):
            await PARTS["jobs"](shop)


async def test_only_the_relayer_needs_the_keystore(settings: Settings) -> None:
    Layout(settings.data_dir).keystore.unlink()
    async with opened(settings) as shop:
        await PARTS["mirror"](shop)
        await PARTS["jobs"](shop)
        with pytest.raises(ConfigurationError, match="no keystore"):
            await PARTS["relayer"](shop)
