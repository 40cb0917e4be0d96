"""Batches are mined by what the chain says was executed, whoever submitted it."""

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.batches import admin, batch, no_such_transaction, redemption
from chain.mirror.kit import EPOCH_S, address, holder, register_call, root, signed, wallet
from chain.mirror.world import World, mirror_of
from mereau.chain.contract import encode_call
from mereau.chain.delta import MirrorDelta
from mereau.chain.finality import Finality
from mereau.chain.mirror import StepOutcome
from mereau.chain.models import Batch, Block, Order
from mereau.chain.rpc import hex_bytes
from mereau.core.db import transaction


async def found(world: World, batch_id: str) -> Batch:
    return next(row for row in await world.rows(Batch) if row.id == batch_id)


def whole(deltas: list[MirrorDelta], name: str) -> list[object]:
    return [item for delta in deltas for item in getattr(delta, name)]


async def test_issue_reverse_and_expire_find_their_batches(world: World) -> None:
    issue = batch("issue", partner=1, sequence=1, trail_root=root("i"))
    reverse = batch("reverse", partner=1, sequence=2, trail_root=root("r"))
    expire = batch("expire", sequence=1, trail_root=root("e"))
    other = batch("issue", partner=2, sequence=1, trail_root=root("i"))
    await world.add(issue, reverse, expire, other)
    transaction_hash = await world.token.issue([(wallet(1), 10)], root("i"))
    block_number = await world.token.head()
    await world.token.reverse([(wallet(1), 1)], root("r"))
    await world.token.rpc.call("evm_increaseTime", 3 * EPOCH_S)
    await world.token.expire([(wallet(1), 2)], root("e"))
    await world.mirror.step()
    mined = await found(world, issue.id)
    blocks = {block.number: block for block in await world.rows(Block)}
    assert (mined.transaction_hash, mined.block_number, mined.log_index) == (transaction_hash, block_number, 1)
    assert mined.mined_at is not None
    assert mined.mined_at.timestamp() == blocks[block_number].timestamp_s
    assert set(whole(world.deltas, "mined")) == {issue.id, reverse.id, expire.id}
    assert set(whole(world.deltas, "final")) == {issue.id, reverse.id, expire.id}
    assert mined.state == "final"
    assert (await found(world, other.id)).state == "submitted"
    assert whole(world.deltas, "foreign") == []


@pytest.mark.parametrize("state", ["sealed", "submitted", "stuck"])
async def test_whatever_the_relayer_thought_the_event_decides(world: World, state: str) -> None:
    ours = batch("issue", partner=1, sequence=1, trail_root=root("i"), state=state)
    await world.add(ours)
    await world.token.issue([(wallet(1), 10)], root("i"))
    await world.mirror.step()
    assert (await found(world, ours.id)).state == "final"


@pytest.mark.parametrize(
    ("kind", "trail_root"), [("issue", root("another")), ("reverse", root("i"))], ids=["root", "kind"]
)
async def test_another_payload_at_the_sequence_is_foreign(world: World, kind: str, trail_root: bytes) -> None:
    ours = batch(kind, partner=1, sequence=1, trail_root=trail_root)
    await world.add(ours)
    await world.token.issue([(wallet(1), 10)], root("i"))
    await world.mirror.step()
    assert (await found(world, ours.id)).state == "submitted"
    assert whole(world.deltas, "mined") == []
    (event,) = whole(world.deltas, "foreign")
    assert (event.kind, event.partner_number, event.sequence, event.trail_root, event.batch_id) == (
        "issue", 1, 1, root("i"), ours.id,
    )  # fmt: skip


async def test_an_order_that_nobody_sealed_is_foreign(world: World) -> None:
    superseded = batch("issue", partner=1, sequence=1, trail_root=root("i"), state="superseded")
    await world.add(superseded)
    await world.token.issue([(wallet(1), 10)], root("i"))
    await world.mirror.step()
    (event,) = whole(world.deltas, "foreign")
    assert (event.sequence, event.batch_id) == (1, None)
    assert (await found(world, superseded.id)).state == "superseded"


async def test_a_redemption_batch_waits_for_its_last_order(world: World) -> None:
    """Each order of it was submitted on its own, by somebody else."""
    members = [holder(number) for number in range(3)]
    rows = redemption([root("a"), root("b")])
    untouched = redemption([root("z")])
    await world.add(*rows, *untouched)
    await world.token.issue([(address(member), 10) for member in members])
    await world.token.redeem([(members[0], 4, root("b"))])
    await world.mirror.step()
    assert (await found(world, rows[0].id)).state == "submitted"
    last = await world.token.redeem([(members[1], 4, root("a"))])
    await world.mirror.step()
    mined = await found(world, rows[0].id)
    assert (mined.state, mined.transaction_hash) == ("final", last)
    assert mined.block_number == await world.token.head()
    assert (await found(world, untouched[0].id)).state == "submitted"
    assert [event.kind for event in whole(world.deltas, "foreign")] == ["issue"]


async def release(world: World, order_id: str) -> None:
    """What the relayer does with a redemption whose signature is dead."""
    async with transaction(world.engine) as session:
        await session.execute(
            update(Order).where(Order.id == order_id).values(state="queued", batch_id=None, batch_index=None)
        )


async def test_a_batch_is_complete_when_the_order_that_held_it_up_has_left(world: World) -> None:
    """No block comes: the others were executed long ago."""
    head, first, last = rows = redemption([root("a"), root("b")])
    await world.add(*rows)
    await world.token.issue([(address(holder(0)), 10)])
    digest = await world.token.redeem([(holder(0), 4, root("a"))])
    await world.mirror.step()
    assert (await world.mirror.step()).outcome is StepOutcome.IDLE
    assert whole(world.deltas, "mined") == []
    executed_in = await world.token.head()
    await release(world, last.id)
    assert (await world.mirror.step()).outcome is StepOutcome.IDLE
    mined = await found(world, head.id)
    assert (mined.state, mined.transaction_hash, mined.block_number) == ("final", digest, executed_in)
    assert (world.deltas[-1].mined, world.deltas[-1].final) == ([head.id], [head.id])
    handed_on = len(world.deltas)
    await world.mirror.step()
    assert len(world.deltas) == handed_on
    assert [order.state for order in await world.rows(Order) if order.id == first.id] == ["sealed"]


async def test_the_next_block_finds_such_a_batch_as_well(world: World) -> None:
    head, _, last = rows = redemption([root("a"), root("b")])
    await world.add(*rows)
    await world.token.issue([(address(holder(0)), 10)])
    digest = await world.token.redeem([(holder(0), 4, root("a"))])
    await world.mirror.step()
    await release(world, last.id)
    await world.token.rpc.call("evm_mine")
    assert (await world.mirror.step()).outcome is StepOutcome.ADVANCED
    mined = await found(world, head.id)
    assert (mined.state, mined.transaction_hash) == ("final", digest)
    assert mined.block_number == await world.token.head() - 1


async def test_a_batch_that_lost_all_of_its_orders_is_not_complete(world: World) -> None:
    head, only = rows = redemption([root("a")])
    await world.add(*rows)
    await world.mirror.step()
    await release(world, only.id)
    await world.mirror.step()
    assert (await found(world, head.id)).state == "submitted"
    assert whole(world.deltas, "mined") == []


async def test_a_redemption_batch_is_mined_in_one_transaction(world: World) -> None:
    rows = redemption([root("a"), root("b")], state="sealed")
    await world.add(*rows)
    members = [holder(number) for number in range(2)]
    await world.token.issue([(address(member), 10) for member in members])
    digest = await world.token.redeem([(members[0], 4, root("a")), (members[1], 4, root("b"))])
    await world.mirror.step()
    mined = await found(world, rows[0].id)
    assert (mined.state, mined.transaction_hash) == ("final", digest)


async def test_a_redemption_of_nobodys_is_foreign(world: World) -> None:
    await world.token.issue([(address(holder(1)), 10)])
    await world.token.redeem([(holder(1), 4, root("alone"))])
    await world.mirror.step()
    kinds = {event.kind: event for event in whole(world.deltas, "foreign")}
    assert kinds["redeem"].reference == root("alone")


async def test_an_admin_batch_is_mined_by_any_of_its_attempts(world: World) -> None:
    digest = await world.token.send(register_call(wallet(1), number=2))
    rows = admin(no_such_transaction("replaced"), digest)
    waiting = admin(no_such_transaction("waiting"))
    await world.add(*rows, *waiting)
    await world.mirror.step()
    mined = await found(world, rows[0].id)
    assert (mined.state, mined.transaction_hash, mined.log_index) == ("final", digest, None)
    assert (await found(world, waiting[0].id)).state == "submitted"


async def test_an_admin_call_without_an_event_is_mined_too(world: World) -> None:
    """Granting a role that is held already succeeds and logs nothing: the bloom filter does not show it."""
    role = bytes.fromhex("65d7a28e3265b37a6474929f336521b332c1681b933f6cb9f3376673440d862a")
    first = encode_call("grantRole", role, wallet(1))
    await world.token.send(first)
    digest = await world.token.send(first)
    rows = admin(digest)
    await world.add(*rows)
    await world.mirror.step()
    assert (await found(world, rows[0].id)).state == "final"


async def test_a_reverted_admin_transaction_is_reported_and_left(world: World) -> None:
    digest = await world.token.send(register_call(bytes(20), number=2))
    rows = admin(digest)
    await world.add(*rows)
    await world.mirror.step()
    assert (await found(world, rows[0].id)).state == "submitted"
    assert whole(world.deltas, "failed") == [rows[0].id]
    assert whole(world.deltas, "mined") == []


async def test_mined_becomes_final_when_the_chain_has_grown(engine: AsyncEngine, world: World) -> None:
    patient = mirror_of(engine, world.token, finality=Finality.by_depth(2))
    ours = batch("issue", partner=1, sequence=1, trail_root=root("i"))
    await patient.add(ours)
    await patient.token.issue([(wallet(1), 10)], root("i"))
    await patient.mirror.step()
    assert (await found(patient, ours.id)).state == "mined"
    await patient.token.rpc.call("evm_mine")
    await patient.mirror.step()
    assert (await found(patient, ours.id)).state == "mined"
    await patient.token.rpc.call("evm_mine")
    await patient.mirror.step()
    assert (await found(patient, ours.id)).state == "final"
    assert whole(patient.deltas, "final") == [ours.id]


async def test_finality_can_advance_without_a_block(engine: AsyncEngine, world: World) -> None:
    """As with tags that move between two blocks; here the depth changes with a restart."""
    ours = batch("issue", partner=1, sequence=1, trail_root=root("i"))
    await world.add(ours)
    await world.token.issue([(wallet(1), 10)], root("i"))
    slow = mirror_of(engine, world.token, finality=Finality.by_depth(50))
    await slow.mirror.step()
    assert (await slow.state()).final_number == world.token.deployment.block_number
    await world.mirror.step()
    assert (await found(world, ours.id)).state == "final"
    assert [delta.final for delta in world.deltas] == [[ours.id]]
    await slow.mirror.step()
    assert (await slow.state()).final_number == await world.token.head()


async def test_signed_by_hand_and_sent_by_a_stranger(world: World) -> None:
    """The sender is nobody we know; the event still names our batch."""
    ours = batch("issue", partner=1, sequence=1, trail_root=root("i"))
    await world.add(ours)
    token = world.token
    call = token.issue_call([(wallet(1), 10)], root("i"), 1)
    raw = await signed(token.rpc, token.chain_id, token.partner, token.address, call)
    digest = hex_bytes(await token.rpc.call("eth_sendRawTransaction", raw))
    await world.mirror.step()
    assert (await found(world, ours.id)).transaction_hash == digest
