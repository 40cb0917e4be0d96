"""Time: pending credits become active, old tokens expire as far as the contract lets them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from factories.ledger import LedgerWorld
from mereau.ledger import domain, tasks
from mereau.ledger.tasks import ExpirableReader

DAY = timedelta(days=1)


def lets(tokens: int) -> ExpirableReader:
    """A contract that would let so many tokens of every wallet expire."""

    async def read(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
        return dict.fromkeys(wallets, tokens)

    return read


async def activate(world: LedgerWorld, chunk: int = 1000) -> int:
    return await tasks.activate_due(world.engine, world.now, chunk=chunk)


async def expire(world: LedgerWorld, contract: ExpirableReader, chunk: int = 1000) -> int:
    return await tasks.expire_due(world.engine, world.now, contract, chunk=chunk)


async def test_a_pending_credit_activates_when_its_window_is_over(world: LedgerWorld) -> None:
    entry_id = await world.credit(100, delay=DAY, life=30 * DAY)
    world.now += DAY - timedelta(microseconds=1)
    assert await activate(world) == 0
    assert await world.counters() == (0, 100, 0, 0)
    world.now += timedelta(microseconds=1)
    assert await activate(world) == 1
    assert await world.counters() == (100, 0, 0, 0)
    order = (await world.orders())[entry_id]
    assert (order.kind, order.partner_number, order.tokens, order.state) == ("issue", 1, 100, "queued")
    assert [
        row.type
        for row in await world.rows("select type from outbox_events where subject_id = :id order by seq", id=entry_id)
    ] == ["entry.pending", "entry.accepted"]
    assert await activate(world) == 0
    assert await world.drift() == 0


async def test_the_commitment_is_that_of_a_credit_made_active(world: LedgerWorld) -> None:
    """A pending credit's record says the same as if it had been accepted at once."""
    later = await world.credit(100, delay=DAY, life=30 * DAY)
    world.now += DAY
    await activate(world)
    (entry,) = await world.rows("select * from entries where id = :id", id=later)
    lot = await world.lot(later)
    line = domain.Line(**{name: getattr(entry, name) for name in domain.Line.__dataclass_fields__})
    assert (await world.orders())[later].commitment == domain.line_commitment(line, 1, lot.expires_at)


async def test_only_what_was_not_returned_is_issued(world: LedgerWorld) -> None:
    part, whole = await world.credit(100, delay=DAY), await world.credit(50, delay=DAY)
    await world.reverse(part, 40)
    await world.reverse(whole, 50)
    world.now += DAY
    await activate(world)
    assert {key: order.tokens for key, order in (await world.orders()).items()} == {part: 60}
    assert await world.counters() == (60, 0, 0, 0)
    assert await world.statuses(part, whole) == ["accepted", "cancelled"]


async def test_many_activate_in_chunks(world: LedgerWorld) -> None:
    await world.post(*(world.a_credit(1, member=index % 2, delay=DAY) for index in range(7)))
    world.now += DAY
    assert await activate(world, chunk=3) == 7
    assert (await world.counters(0))[0] + (await world.counters(1))[0] == 7


async def test_tokens_past_their_life_expire(world: LedgerWorld) -> None:
    old, kept = await world.credit(100, life=DAY), await world.credit(50, life=9 * DAY)
    await world.mine(old, kept)
    world.now += DAY
    assert await expire(world, lets(150)) == 100
    assert await world.counters() == (50, 0, 0, 0)
    (order,) = [order for order in (await world.orders()).values() if order.kind == "expire"]
    assert (order.partner_number, order.tokens) == (None, 100)
    assert ((await world.lot(old)).state, (await world.lot(kept)).state) == ("expired", "active")
    assert await world.drift() == 0
    assert await expire(world, lets(150)) == 0


async def test_an_expiry_that_the_chain_refuses_gives_the_tokens_back(world: LedgerWorld) -> None:
    credit = await world.credit(100, life=DAY)
    await world.mine(credit)
    world.now += DAY
    await expire(world, lets(100))
    (order,) = [order for order in (await world.orders()).values() if order.kind == "expire"]
    await world.reject(order.id, reason="LoyaltyProtected")
    assert await world.counters() == (100, 0, 0, 0)
    assert await world.drift() == 0
    assert await expire(world, lets(100)) == 100


async def test_what_the_contract_protects_waits_and_stays_spendable(world: LedgerWorld) -> None:
    credits_ = [await world.credit(tokens, life=DAY) for tokens in (60, 40)]
    await world.mine(*credits_)
    world.now += DAY
    assert await expire(world, lets(0)) == 0
    assert await world.counters() == (100, 0, 0, 0)
    assert await expire(world, lets(70)) == 70
    assert [(await world.lot(key)).remaining for key in credits_] == [0, 30]
    await world.hold(30)


async def test_burns_under_way_are_taken_off_what_may_expire(world: LedgerWorld) -> None:
    """On chain one balance pays for all: what redeems first must not make the expiry fail."""
    old, kept = await world.credit(100, life=DAY), await world.credit(100)
    await world.mine(old, kept)
    await world.hold(30)
    await world.reverse(kept, 20)
    world.now += DAY
    assert await expire(world, lets(100)) == 50
    assert await world.drift() == 0


async def test_nothing_expires_that_is_held_pending_or_without_end(world: LedgerWorld) -> None:
    held = await world.credit(10, life=DAY)
    await world.hold(10)
    await world.credit(10, life=DAY, delay=DAY)
    await world.credit(10)
    world.now += 2 * DAY
    assert await expire(world, lets(1000)) == 0
    assert (await world.lot(held)).held == 10


async def test_many_expire_in_chunks_even_if_the_first_are_protected(world: LedgerWorld) -> None:
    await world.post(*(world.a_credit(1, member=index % 2, life=DAY) for index in range(9)))
    world.now += DAY
    protected = (await world.rows("select address from wallets where owner_id = :id", id=world.members[0]))[0].address

    async def contract(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
        return {wallet: 0 if wallet == protected else 100 for wallet in wallets}

    assert await expire(world, contract, chunk=2) == 4
    assert (await world.counters(0))[0] == 5
    assert (await world.counters(1))[0] == 0


async def test_a_lot_spent_between_the_look_and_the_lock_does_not_expire(world: LedgerWorld) -> None:
    await world.credit(10, life=DAY)
    world.now += DAY

    async def contract(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
        await world.hold(10)
        return dict.fromkeys(wallets, 100)

    assert await expire(world, contract) == 0
    assert await world.counters() == (0, 0, 10, 0)


async def test_the_balance_names_what_expires_next(world: LedgerWorld) -> None:
    for tokens, life in ((5, 3 * DAY), (7, 2 * DAY), (8, 2 * DAY), (9, None)):
        await world.credit(tokens, life=life)
    seen = await world.balance()
    assert (seen.expiring_next_tokens, seen.expiring_next_at) == (15, world.now + 2 * DAY)
