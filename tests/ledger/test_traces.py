"""What each operation leaves behind: entries, orders, events, journal; and what the refused ones leave: nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from factories.ledger import LedgerWorld
from mereau.chain.delta import ForeignEvent, MirrorDelta
from mereau.core.db import snapshot, transaction
from mereau.core.errors import InvalidInputError, MereauError, NotFoundError
from mereau.ledger import service as ledger
from mereau.ledger import tasks
from mereau.ledger.errors import (
    HoldSettledError,
    InsufficientBalanceError,
    MemberInactiveError,
    RedemptionsFrozenError,
)
from mereau.ledger.progress.domain import Rejection
from mereau.ledger.registry import service as registry

DAY = timedelta(days=1)
TABLES = (
    "accounts", "entries", "lots", "lot_uses", "holds", "wallets", "chain_orders", "outbox_events", "journal_entries",
)  # fmt: skip


async def told(world: LedgerWorld) -> list[tuple[str, str]]:
    """(type, subject) of every event of the ledger so far, in order."""
    rows = await world.rows(
        "select type, subject_id from outbox_events"
        " where split_part(type, '.', 1) in ('entry', 'batch', 'order') order by seq"
    )
    return [tuple(row) for row in rows]


async def everything(world: LedgerWorld) -> dict[str, list[Any]]:
    return {
        table: sorted(str(row[0]) for row in await world.rows(f"select row_to_json(t)::text from {table} t"))
        for table in TABLES
    }


async def test_credits(world: LedgerWorld) -> None:
    now = await world.credit(10)
    later = await world.credit(20, delay=DAY)
    assert await told(world) == [("entry.accepted", now), ("entry.pending", later)]
    payloads = [row.payload for kind in ("accepted", "pending") for row in await world.events(f"entry.{kind}")]
    assert [sorted(payload) for payload in payloads] == [["kind", "member_id", "source_id", "tokens"]] * 2
    assert {payload["member_id"] for payload in payloads} == {world.members[0]}


async def test_activation(world: LedgerWorld) -> None:
    later = await world.credit(20, delay=DAY)
    world.now += DAY
    await tasks.activate_due(world.engine, world.now)
    await tasks.activate_due(world.engine, world.now)
    assert await told(world) == [("entry.pending", later), ("entry.accepted", later)]


async def test_returns(debt_world: LedgerWorld) -> None:
    world = debt_world
    active, pending = await world.credit(10), await world.credit(10, delay=DAY)
    before = len(await told(world))
    burned = (await world.reverse(active, 4)).entry_id
    await world.reverse(pending, 4)
    await world.hold(6)
    await world.reverse(active, 6)
    events = (await told(world))[before:]
    assert events[:2] == [("entry.accepted", burned), ("entry.cancelled", pending)]
    # A return that took nothing off the chain is no entry and no event; the debt is in the account.
    assert [kind for kind, _ in events[2:]] == ["entry.accepted"]
    assert (await world.counters())[3] == 6


async def test_the_life_of_a_redemption(world: LedgerWorld) -> None:
    await world.mine(await world.credit(10))
    before = len(await told(world))
    entry = await world.hold(4)
    batch = await world.mine(entry)
    await world.follow(reorged=[batch])
    await world.follow(mined=[batch])
    await world.follow(final=[batch])
    assert (await told(world))[before:] == [
        ("entry.accepted", entry),
        ("batch.mined", batch), ("entry.mined", entry),
        ("batch.reorged", batch), ("entry.reorged", entry),
        ("batch.mined", batch), ("entry.mined", entry),
        ("batch.final", batch), ("entry.final", entry),
    ]  # fmt: skip


async def test_expiry(world: LedgerWorld) -> None:
    credit = await world.credit(10, life=DAY)
    await world.mine(credit)
    before = len(await told(world))
    world.now += DAY

    async def all_of(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
        return dict.fromkeys(wallets, 10)

    await tasks.expire_due(world.engine, world.now, all_of)
    (entry,) = await world.rows("select * from entries where kind = 'expire'")
    assert (await told(world))[before:] == [("entry.accepted", entry.id)]
    assert (entry.source_id, entry.source_reference, entry.reason_code) == (credit, credit, "expiry")
    assert (entry.partner_id, entry.staff_id, entry.rule, entry.occurred_at) == (None, None, None, world.now)


async def test_failed_acts_and_unknown_orders_are_told(world: LedgerWorld) -> None:
    async with transaction(world.engine) as session:
        await ledger.settle(session, MirrorDelta(5, failed=["bat_9"]), world.now)
        await ledger.on_rejected(session, [Rejection("adm_9", "LoyaltyRole")], world.now)
    assert await told(world) == [("batch.failed", "bat_9"), ("order.rejected", "adm_9")]


FOREIGN = [
    ForeignEvent("issue", 9, 0, partner_number=1, sequence=1, trail_root=bytes(32)),
    ForeignEvent("issue", 9, 1, partner_number=1, sequence=2, trail_root=bytes(32), batch_id="bat_1"),
    ForeignEvent("expire", 9, 2, sequence=1, trail_root=bytes(32)),
    ForeignEvent("redeem", 9, 3, reference=bytes(32)),
]


async def test_settle_leaves_what_others_executed_alone(world: LedgerWorld) -> None:
    """Deliberately: no entry of ours stands behind them. The relayer and the reconciliation see to them."""
    await world.credit(10)
    await world.hold(4)
    before = await everything(world)
    async with transaction(world.engine) as session:
        await ledger.settle(session, MirrorDelta(9, foreign=FOREIGN), world.now)
    assert await everything(world) == before


async def test_settle_does_its_work_beside_what_others_executed(world: LedgerWorld) -> None:
    await world.mine(await world.credit(10))
    batch = await world.seal(await world.hold(4))
    async with transaction(world.engine) as session:
        await ledger.settle(session, MirrorDelta(9, mined=[batch], foreign=FOREIGN), world.now)
    assert await world.counters() == (6, 0, 0, 0)


async def test_a_partners_registration_is_in_the_journal(world: LedgerWorld) -> None:
    async with transaction(world.engine) as session:
        order_id = await registry.register_partner(session, world.partners[0], world.now, actor="key_1")
    (row,) = await world.rows("select * from journal_entries where action = 'partner.registered'")
    assert (row.actor, row.subject_id, row.detail["order_id"]) == ("key_1", world.partners[0].id, order_id)


async def refuse_reversal(world: LedgerWorld, **changes: Any) -> None:
    credit = (await world.rows("select id from entries where kind = 'issue' order by seq limit 1"))[0].id
    await world.take_back(world.a_reversal(**{"credit_entry_id": credit, "tokens": 1} | changes))


async def frozen_hold(world: LedgerWorld) -> None:
    await world.write("update chain_mirror set frozen_reason = 'the node forgot block 7'")
    await world.hold(1)


async def blocked_hold(world: LedgerWorld) -> None:
    await world.write("update members set status = 'blocked'")
    await world.hold(1)


async def sealed_void(world: LedgerWorld) -> None:
    (entry,) = await world.rows("select entry_id from holds")
    await world.seal(entry.entry_id)
    await world.void(entry.entry_id)


REFUSALS: list[tuple[str, Callable[[LedgerWorld], Awaitable[object]], type[MereauError], str]] = [
    ("credit: range", lambda w: w.credit(0), InvalidInputError, "The entries are not valid."),
    ("credit: reason", lambda w: w.credit(1, reason_code="gift"), InvalidInputError, "The entries are not valid."),
    ("credit: partner", lambda w: w.credit(1, partner_id="par_0"), NotFoundError, "no such partner"),
    ("reverse: range", lambda w: refuse_reversal(w, tokens=-1), InvalidInputError, "The entries are not valid."),
    ("reverse: reason", lambda w: refuse_reversal(w, reason_code=""), InvalidInputError, "The entries are not valid."),
    ("reverse: too much", lambda w: refuse_reversal(w, tokens=101), InvalidInputError, "cannot be reversed twice"),
    ("reverse: unknown", lambda w: refuse_reversal(w, credit_entry_id="ent_0"), NotFoundError, "no credit ent_0."),
    ("reverse: other partner", lambda w: refuse_reversal(w, partner=1), NotFoundError, "The partner has no credit"),
    ("hold: too much", lambda w: w.hold(71), InsufficientBalanceError, "The member lacks 1 tokens."),
    ("hold: range", lambda w: w.hold(2**53), InvalidInputError, "The entries are not valid."),
    ("hold: member", lambda w: w.hold(1, member_id="mem_0"), NotFoundError, "no such member"),
    ("hold: partner", lambda w: w.hold(1, partner_id="par_0"), NotFoundError, "no such partner"),
    ("hold: blocked", blocked_hold, MemberInactiveError, "The member is blocked or has left."),
    ("hold: frozen", frozen_hold, RedemptionsFrozenError, "Redemptions are suspended: the node forgot block 7"),
    ("void: unknown", lambda w: w.void("ent_0"), NotFoundError, "There is no such redemption."),
    ("void: sealed", sealed_void, HoldSettledError, "The burn is on its way to the chain, or was decided before."),
]


@pytest.mark.parametrize(("work", "kind", "detail"), [case[1:] for case in REFUSALS], ids=[c[0] for c in REFUSALS])
async def test_a_refusal_says_why_and_leaves_nothing(
    world: LedgerWorld, work: Callable[[LedgerWorld], Awaitable[object]], kind: type[MereauError], detail: str
) -> None:
    await world.mine(await world.credit(100))
    await world.hold(30)
    before = await everything(world)
    with pytest.raises(kind) as refusal:
        await work(world)
    assert type(refusal.value) is kind
    assert detail.lower() in refusal.value.detail.lower()
    after = await everything(world)
    # Sealing was the test's own doing.
    assert [table for table in before if before[table] != after[table] and table != "chain_orders"] == []


async def test_a_frozen_mirror_stops_redemptions_and_nothing_else(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.mine(credit)
    waiting, sealed = await world.hold(10), await world.hold(5)
    batch = await world.seal(sealed)
    pending = await world.credit(7, delay=DAY)
    await world.write("update chain_mirror set frozen_reason = 'a deep reorganisation'")
    with pytest.raises(RedemptionsFrozenError):
        await world.hold(1)
    await world.credit(20)
    assert (await world.reverse(credit, 5)).reversed_tokens == 5
    assert (await world.reverse(pending, 7)).cancelled_tokens == 7
    await world.void(waiting)
    await world.follow(mined=[batch])
    world.now += DAY
    await tasks.activate_due(world.engine, world.now)
    assert await world.counters() == (110, 0, 0, 0)
    async with snapshot(world.engine) as session:
        assert len(await ledger.entries(session, world.members[0], None, 10)) == 6
    assert await world.drift() == 0
