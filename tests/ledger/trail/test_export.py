"""The exported trail, judged by the independent verifier against the chain."""

import asyncio
import json
from pathlib import Path

import pytest

from factories.settled import SettledWorld
from mereau.core.errors import ConfigurationError, ConflictError, UnavailableError
from mereau.ledger.trail import domain
from mereau.ledger.trail.service import ExportReport, export_trail
from mereau_verify.report import Report
from mereau_verify.rpc import Node
from mereau_verify.verification import verify


def ignore(done: int) -> None:
    """No progress wanted."""


def silent(phase: str, done: int, total: int) -> None:
    """None wanted here either."""


async def export(world: SettledWorld, folder: Path) -> ExportReport:
    return await export_trail(world.ledger.engine, folder, on_progress=ignore)


async def judge(world: SettledWorld, folder: Path) -> Report:
    """What an auditor with a node says; the verifier is synchronous and knows nothing of us."""
    node = Node(world.rpc.url)
    try:
        return await asyncio.to_thread(verify, folder, node, silent)
    finally:
        node.close()


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "trail.jsonl").read_text().splitlines()]


async def test_the_trail_of_a_working_ledger_holds(world: SettledWorld, folder: Path) -> None:
    exported = await export(world, folder)
    report = await judge(world, folder)
    assert report.findings == []
    figures = report.figures
    assert (figures["issued"], figures["reversed"], figures["redeemed"], figures["supply"]) == (570, 120, 30, 420)
    assert (exported.batches, exported.operations, exported.balances) == (3, 4, 2)


async def test_a_trail_exported_in_the_middle_of_work_holds(world: SettledWorld, folder: Path) -> None:
    """Accepted, not yet on chain: such tokens are told as open."""
    entry = await world.ledger.credit(41)
    await world.ledger.hold(5)
    await world.ledger.reverse(entry, 1)
    await export(world, folder)
    assert (await judge(world, folder)).findings == []
    balances = [line for line in lines(folder) if line["type"] == "balance"]
    assert sorted(line["open"] for line in balances) == [0, 40]


async def test_pending_tokens_are_on_no_balance(world: SettledWorld, folder: Path) -> None:
    await export(world, folder)
    told = sorted(line["available"] for line in lines(folder) if line["type"] == "balance")
    assert told == [70, 350]


async def test_no_personal_data_is_in_the_trail(world: SettledWorld, folder: Path) -> None:
    """Neither ids of members nor their receipts: only wallets, amounts, salted hashes."""
    await export(world, folder)
    text = (folder / "trail.jsonl").read_text()
    for member_id in world.ledger.members:
        assert member_id not in text
    for word in ("till", "receipt", "coffee", "return 3", "document_salt"):
        assert word not in text
    assert '"document":"0x' in text


async def test_an_erased_record_leaves_the_trail_verifiable(world: SettledWorld, folder: Path) -> None:
    await world.ledger.write("update entries set record_salt = null, document_salt = null where member_id = :id",
                             id=world.ledger.members[1])  # fmt: skip
    await export(world, folder)
    assert (await judge(world, folder)).findings == []
    assert [line["record"] for line in lines(folder) if line["type"] == "operation"].count(None) == 1


ALTERATIONS = [
    ("entries set tokens = tokens + 1 where id = :credit", "tokens = tokens - 1 where id = :credit", "record"),
    ("entries set tokens = tokens - 1 where kind = 'redeem'", "tokens = tokens + 1 where kind = 'redeem'", "record"),
    (
        "entries set occurred_at = occurred_at - interval '1 day' where id = :credit",
        "occurred_at = occurred_at + interval '1 day' where id = :credit",
        "record",
    ),
    ("entries set rule = 'other:1' where id = :credit", "rule = 'base:1' where id = :credit", "record"),
    (
        "entries set source_reference = 'x' || source_reference where id = :credit",
        "source_reference = substr(source_reference, 2) where id = :credit",
        "record",
    ),
    (
        "entries set record_salt = record_salt || '\\x00' where id = :credit",
        "record_salt = substr(record_salt, 1, 16) where id = :credit",
        "record",
    ),
    (
        "lots set expires_at = expires_at + interval '1 day' where tokens = 70",
        "expires_at = expires_at - interval '1 day' where tokens = 70",
        "record",
    ),
    ("chain_orders set tokens = tokens + 1 where id = :credit", "tokens = tokens - 1 where id = :credit", "transfer"),
    (
        "chain_orders set wallet = wallet || '\\x00' where id = :credit",
        "wallet = substr(wallet, 1, 20) where id = :credit",
        "format",
    ),
    (
        "chain_orders set commitment = sha256(commitment) || commitment where id = :credit",
        "commitment = substr(commitment, 33) where id = :credit",
        "format",
    ),
    (
        "chain_orders set tokens = tokens + 1 where kind = 'redeem'",
        "tokens = tokens - 1 where kind = 'redeem'",
        "redemption",
    ),
    (
        "chain_batches set sequence = sequence + 40 where kind = 'reverse'",
        "sequence = 2 where kind = 'reverse'",
        "completeness",
    ),
    ("chain_balances set tokens = tokens + 1 where tokens = 70", "tokens = 70 where tokens = 71", "balance"),
    ("accounts set available = 71 where available = 70", "available = 70 where available = 71", "ledger"),
    ("accounts set held = 1 where available = 70", "held = 0 where available = 70", "ledger"),
    ("lots set remaining = 69, spent = 1 where tokens = 70", "remaining = 70, spent = 0 where tokens = 70", "ledger"),
    ("chain_mirror set supply = supply + 1", "supply = supply - 1", "supply"),
    ("chain_transfers set tokens = 31 where tokens = 30", "tokens = 30 where tokens = 31", "supply"),
]


async def test_one_value_changed_in_the_database_is_named(world: SettledWorld, folder: Path) -> None:
    """Each alteration is named by its rule; undone, the trail holds again."""
    (credit,) = await world.ledger.rows("select id from entries where tokens = 500")
    unnamed = []
    for alteration, undo, rule in ALTERATIONS:
        table = alteration.split()[0]
        for statement in (alteration, f"{table} set {undo}"):
            values = {"credit": credit.id} if ":credit" in statement else {}
            await world.ledger.write(f"update {statement}", **values)
            await export(world, folder)
            found = {finding.rule for finding in (await judge(world, folder)).findings}
            if (rule in found) != (statement == alteration):
                unnamed.append((statement, found))
    assert unnamed == []


async def test_a_deleted_order_is_named(world: SettledWorld, folder: Path) -> None:
    await world.ledger.write("delete from chain_orders where tokens = 500")
    await export(world, folder)
    assert {"root", "transfer"} <= {finding.rule for finding in (await judge(world, folder)).findings}


async def test_an_earlier_trail_is_replaced(world: SettledWorld, folder: Path) -> None:
    await export(world, folder)
    before = (folder / "manifest.json").read_text()
    await world.ledger.credit(3)
    await world.settle()
    await export(world, folder)
    assert (folder / "manifest.json").read_text() != before
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "trail.jsonl"]
    assert [path.name for path in folder.parent.iterdir()] == ["trail"]


async def test_other_peoples_files_are_not_touched(world: SettledWorld, folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(ConflictError, match="other files"):
        await export(world, folder)
    assert (folder / "thesis.txt").read_text() == "years of work"


async def test_progress_counts_operations(world: SettledWorld, folder: Path) -> None:
    seen: list[int] = []
    await export_trail(world.ledger.engine, folder, on_progress=seen.append)
    assert seen[-1] == 4


async def test_no_contract_no_trail(world: SettledWorld, folder: Path) -> None:
    await world.ledger.write("delete from chain_deployment")
    with pytest.raises(ConfigurationError, match="mereau up"):
        await export(world, folder)
    assert not folder.exists()


async def test_no_block_no_trail(world: SettledWorld, folder: Path) -> None:
    await world.ledger.write("delete from chain_mirror")
    with pytest.raises(UnavailableError, match="mirror"):
        await export(world, folder)
    assert not folder.exists()


def test_a_wallet_that_only_the_chain_knows_is_told() -> None:
    (line,) = domain.merge_wallets([], {b"\x01" * 20: 5}, {})
    assert (line["tokens"], line["available"], line["open"]) == (5, 0, 0)


def test_wallets_come_in_the_order_of_addresses() -> None:
    figures = [domain.WalletFigures(bytes([number]) * 20, 1, 0, 1) for number in (3, 1)]
    merged = domain.merge_wallets(figures, {bytes([2]) * 20: 1}, {})
    assert [line["wallet"] for line in merged] == [f"0x{bytes([number]).hex() * 20}" for number in (1, 2, 3)]
