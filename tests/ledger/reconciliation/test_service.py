"""Ledger, relayer, contract and mirror together on a real chain, and the report that compares them."""

from datetime import timedelta

import pytest

from factories.settled import SettledWorld
from mereau.chain.rpc import RpcClient
from mereau.core.db import transaction
from mereau.core.errors import UnavailableError
from mereau.ledger import tasks
from mereau.ledger.reconciliation.service import Report, reconcile
from mereau.ledger.registry import service as registry

DAY = timedelta(days=1)


async def compare(settled: SettledWorld) -> Report:
    return await reconcile(settled.ledger.engine, settled.rpc)


async def test_every_kind_of_entry_ends_final_without_drift(settled: SettledWorld) -> None:
    world = settled.ledger
    credit = await world.credit(100)
    other = await world.credit(40, member=1, partner=1)
    await settled.settle()
    redeem = await world.hold(30)
    back = (await world.reverse(other, 15, partner=1)).entry_id
    assert back is not None
    await settled.settle()
    assert await world.statuses(credit, other, redeem, back) == ["final"] * 4
    assert await world.counters(0) == (70, 0, 0, 0)
    seen = await world.balance(0)
    assert (seen.on_chain, seen.on_chain_block) == (70, (await compare(settled)).block_number)
    report = await compare(settled)
    assert (report.drift_tokens, report.differences) == (0, [])
    assert (report.supply_chain, report.supply_mirror, report.accounts_checked) == (95, 95, 2)
    assert [row.subject_id for row in await world.events("entry.final")] == [redeem]


async def test_what_is_open_is_no_drift(settled: SettledWorld) -> None:
    world = settled.ledger
    credit = await world.credit(100)
    await settled.settle()
    await world.credit(7)
    await world.reverse(credit, 10)
    await world.hold(20)
    await world.credit(9, delay=DAY)
    report = await compare(settled)
    assert (report.drift_tokens, report.supply_chain) == (0, 100)
    await settled.settle()
    assert ((await compare(settled)).drift_tokens, await world.counters()) == (0, (77, 9, 0, 0))


async def test_the_report_stands_in_the_journal(settled: SettledWorld) -> None:
    await settled.ledger.credit(100)
    await settled.settle()
    report = await compare(settled)
    (act,) = await settled.ledger.rows("select * from journal_entries where action = 'reconciliation.reported'")
    assert act.subject_id == f"block:{report.block_number}"
    assert act.detail["block_hash"] == "0x" + report.block_hash.hex()
    assert (act.detail["drift_tokens"], act.detail["supply_chain"]) == (0, 100)


@pytest.mark.parametrize(
    ("statement", "kind", "drift"),
    [
        ("update accounts set available = available + 5", "ledger", 5),
        ("update chain_balances set tokens = tokens - 3", "mirror", 3),
        ("update chain_mirror set supply = supply + 2", "supply", 2),
        ("insert into chain_balances values ('\\xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 4)", "mirror", 4),
    ],
)
async def test_what_an_operator_changes_is_named(settled: SettledWorld, statement: str, kind: str, drift: int) -> None:
    """O1: the chain is the source, whatever the tables say."""
    await settled.ledger.credit(100)
    await settled.settle()
    await settled.ledger.write(statement)
    report = await compare(settled)
    assert report.drift_tokens == drift
    assert [difference.kind for difference in report.differences] == [kind]


async def test_an_issuance_beyond_the_allowance_is_undone(settled: SettledWorld) -> None:
    world = settled.ledger
    async with transaction(world.engine) as session:
        await registry.set_allowance(
            session, world.partners[0].id, allowance_tokens=50, period_cap_tokens=None, now=world.now
        )
    await settled.settle()
    credit = await world.credit(60)
    await settled.settle()
    assert await world.statuses(credit) == ["rejected"]
    assert await world.counters() == (0, 0, 0, 0)
    assert (await compare(settled)).drift_tokens == 0


async def test_the_contract_protects_new_tokens_from_the_expiry_job(settled: SettledWorld) -> None:
    world = settled.ledger
    await world.credit(100, life=DAY)
    await settled.settle()
    world.now += DAY
    contract = tasks.chain_reader(settled.rpc, settled.deployment.contract)
    assert await tasks.expire_due(world.engine, world.now, contract) == 0
    assert await world.counters() == (100, 0, 0, 0)


async def test_before_the_mirrors_first_block_there_is_nothing_to_compare(settled: SettledWorld) -> None:
    with pytest.raises(UnavailableError, match="has not read a block"):
        await compare(settled)


async def test_a_block_that_the_node_does_not_know_is_told(settled: SettledWorld) -> None:
    await settled.settle()
    await settled.ledger.write("update chain_mirror set head_hash = :hash", hash=b"\x01" * 32)
    with pytest.raises(UnavailableError, match="any more"):
        await compare(settled)


async def test_without_a_node_there_is_no_report(settled: SettledWorld) -> None:
    await settled.settle()
    async with RpcClient("http://127.0.0.1:9") as nobody:
        with pytest.raises(UnavailableError):
            await reconcile(settled.ledger.engine, nobody)
    assert await settled.ledger.rows("select 1 from journal_entries where action = 'reconciliation.reported'") == []
