"""What the chain reports: mined, final, reorganised, rejected."""

from datetime import timedelta

from factories.ledger import LedgerWorld

DAY = timedelta(days=1)


async def test_an_entry_follows_its_batch(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    seen = await world.statuses(credit)
    batch = await world.seal(credit)
    seen += await world.statuses(credit)
    for step in ({"mined": [batch]}, {"final": [batch]}, {"reorged": [batch]}):
        await world.follow(**step)
        seen += await world.statuses(credit)
    assert seen == ["accepted", "sealed", "mined", "final", "submitted"]
    assert [len(await world.events(f"batch.{word}")) for word in ("mined", "final", "reorged")] == [1, 1, 1]
    assert await world.events("entry.mined") == []


async def test_a_superseded_batch_waits_again_and_a_stuck_one_was_submitted(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.seal(credit)
    for state, status in (("superseded", "accepted"), ("stuck", "submitted"), ("submitted", "submitted")):
        await world.write("update chain_batches set state = :state", state=state)
        assert await world.statuses(credit) == [status]


async def test_a_burned_hold_is_posted_and_a_reorganised_one_reserved_again(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.mine(credit)
    entry_id = await world.hold(60)
    batch = await world.seal(entry_id)
    seen = []
    for step in ({"mined": [batch]}, {"reorged": [batch]}, {"mined": [batch]}, {"final": [batch]}):
        await world.follow(**step)
        lot = await world.lot(credit)
        seen.append(((await world.counters())[2], lot.held, lot.spent, (await world.balance()).on_chain))
        assert await world.drift() == 0
    assert seen == [(0, 0, 60, 40), (60, 60, 0, 100), (0, 0, 60, 40), (0, 0, 60, 40)]
    words = ("mined", "reorged", "final")
    assert [len(await world.events(f"entry.{word}")) for word in words] == [2, 1, 1]


async def test_a_batch_that_left_and_came_back_in_one_step_stays_posted(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.mine(credit)
    entry_id = await world.hold(60)
    batch = await world.mine(entry_id)
    await world.follow(reorged=[batch], mined=[batch])
    assert await world.counters() == (40, 0, 0, 0)
    assert await world.drift() == 0


async def test_the_same_news_twice_changes_nothing(world: LedgerWorld) -> None:
    await world.mine(await world.credit(100))
    entry_id = await world.hold(60)
    batch = await world.mine(entry_id)
    await world.write("update chain_balances set tokens = tokens + 60")
    await world.follow(mined=[batch])
    assert await world.counters() == (40, 0, 0, 0)


async def test_a_rejected_credit_disappears(world: LedgerWorld) -> None:
    credit, other = await world.credit(100), await world.credit(5)
    await world.reject(credit)
    assert await world.counters() == (5, 0, 0, 0)
    assert await world.statuses(credit, other) == ["rejected", "accepted"]
    lot = await world.lot(credit)
    assert (lot.remaining, lot.reversed, lot.state) == (0, 100, "reversed")
    (told,) = await world.events("entry.rejected")
    assert told.payload["reason"] == "LoyaltyAllowance"
    assert await world.drift() == 0


async def test_a_rejected_redemption_gives_the_tokens_back(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    entry_id = await world.hold(60)
    await world.seal(entry_id)
    await world.reject(entry_id, reason="LoyaltyDeadline")
    assert await world.counters() == (100, 0, 0, 0)
    assert (await world.lot(credit)).held == 0
    (hold,) = await world.rows("select * from holds")
    assert hold.state == "voided"
    assert await world.drift() == 0


async def test_a_rejected_reversal_gives_the_tokens_back(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    posted = await world.reverse(credit, 100)
    assert posted.entry_id is not None
    await world.reject(posted.entry_id)
    assert await world.counters() == (100, 0, 0, 0)
    assert (await world.lot(credit)).state == "active"


async def test_a_rejection_counts_once(world: LedgerWorld) -> None:
    await world.credit(100)
    entry_id = await world.hold(60)
    await world.reject(entry_id)
    await world.reject(entry_id)
    assert await world.counters() == (100, 0, 0, 0)
    assert len(await world.events("entry.rejected")) == 1


async def test_queued_debits_of_a_rejected_credit_go_with_it(world: LedgerWorld) -> None:
    refused, kept = await world.credit(100, life=DAY), await world.credit(50)
    redeem = await world.hold(120)
    back = (await world.reverse(kept, 10)).entry_id
    assert back is not None
    await world.reject(refused)
    assert await world.counters() == (40, 0, 0, 0)
    assert await world.statuses(refused, redeem, back) == ["rejected", "rejected", "accepted"]
    assert (await world.orders())[redeem].state == "rejected"
    reasons = {row.subject_id: row.payload["reason"] for row in await world.events("entry.rejected")}
    assert reasons == {refused: "LoyaltyAllowance", redeem: "credit_rejected"}
    assert await world.drift() == 0


async def test_a_credit_and_its_redemption_rejected_together(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    redeem = await world.hold(70)
    await world.seal(redeem)
    await world.reject(redeem, credit)
    assert await world.counters() == (0, 0, 0, 0)
    assert await world.drift() == 0


async def test_other_lots_carry_a_burn_that_the_chain_executes(world: LedgerWorld) -> None:
    """The chain has one balance: a burn that was attributed to the refused credit took other tokens."""
    kept = await world.credit(100)
    await world.mine(kept)
    refused = await world.credit(40, life=DAY)
    redeem = await world.hold(60)
    batch = await world.seal(redeem)
    await world.reject(refused)
    assert await world.counters() == (40, 0, 60, 0)
    uses = await world.rows("select lot_entry_id, tokens from lot_uses where entry_id = :id", id=redeem)
    assert [tuple(row) for row in uses] == [(kept, 60)]
    await world.follow(mined=[batch])
    assert await world.counters() == (40, 0, 0, 0)
    assert (await world.lot(kept)).spent == 60
    assert await world.drift() == 0


async def test_a_mined_reversal_of_a_rejected_credit_is_carried_too(world: LedgerWorld) -> None:
    kept = await world.credit(100)
    await world.mine(kept)
    refused = await world.credit(40)
    back = (await world.reverse(refused, 30)).entry_id
    assert back is not None
    await world.mine(back)
    await world.reject(refused)
    assert await world.counters() == (70, 0, 0, 0)
    assert await world.drift() == 0


async def test_what_no_lot_can_carry_waits_until_the_chain_refuses_it(world: LedgerWorld) -> None:
    refused = await world.credit(100)
    redeem = await world.hold(70)
    await world.seal(redeem)
    await world.reject(refused)
    assert await world.counters() == (0, 0, 70, 0)
    await world.reject(redeem)
    assert await world.counters() == (0, 0, 0, 0)
    lot = await world.lot(refused)
    assert (lot.reversed, lot.state) == (100, "reversed")
    assert await world.drift() == 0


async def test_a_rejected_registry_act_is_told(world: LedgerWorld) -> None:
    await world.reject("adm_1")
    (told,) = await world.events("order.rejected")
    assert (told.subject_id, told.payload) == ("adm_1", {"reason": "LoyaltyAllowance"})


async def test_queued_debits_give_way_to_a_burn_that_the_chain_executes(world: LedgerWorld) -> None:
    """A sealed burn of the refused credit takes the mined tokens, which a queued redemption had reserved."""
    kept = await world.credit(100, life=DAY)
    await world.mine(kept)
    waiting = await world.hold(90)
    refused = await world.credit(40)
    burn = await world.hold(30)
    batch = await world.seal(burn)
    await world.reject(refused)
    assert await world.statuses(waiting, burn) == ["rejected", "sealed"]
    assert await world.counters() == (70, 0, 30, 0)
    await world.follow(mined=[batch])
    assert await world.counters() == (70, 0, 0, 0)
    assert await world.drift() == 0
