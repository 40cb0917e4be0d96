"""Refunds: tokens come back as they were, once, and never what returned goods had earned."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from factories.earning import a_line
from factories.rewards import SECRET, Counter, make_counter
from mereau.core.db import snapshot, transaction
from mereau.core.errors import MereauError, NotFoundError
from mereau.ledger.refunds import service as ledger_refunds
from mereau.ledger.refunds.domain import GRACE, refund_expiry
from mereau.rewards import service as rewards
from mereau.rewards.errors import NotRefundableError, VoucherNotGrantedError
from mereau.rewards.kinds.domain import Discount, Donation
from mereau.rewards.limits.domain import Limit
from mereau.rewards.models import Redemption
from mereau.rewards.pools import service as pools
from mereau.rewards.refunds import service as refunds

DAY = timedelta(days=1)
LOTS = """
    select lots.tokens, lots.partner_id, lots.expires_at, entries.reason_code, entries.source_id, entries.state
    from lots join entries on entries.id = lots.entry_id where entries.reason_code = 'refund' order by entries.seq
"""


async def granted(counter: Counter, **changes: Any) -> Redemption:
    redemption, _ = await counter.granted(**changes)
    return redemption


async def test_tokens_and_pieces_come_back(counter: Counter) -> None:
    redemption = await granted(counter, stock=3, limits=[Limit("member", 1)])
    refunded = await counter.refund(redemption)
    assert (refunded.state, refunded.reason, refunded.refunded_at) == ("refunded", "changed_mind", counter.now)
    assert await counter.counters() == (100, 0, 0, 0)
    async with snapshot(counter.engine) as session:
        reward = await rewards.get_reward(session, redemption.reward_id)
    assert reward.stock == 3
    assert (await counter.redeem(reward)).state == "burning"
    (credit,) = await counter.rows(LOTS)
    assert (credit.tokens, credit.partner_id, credit.source_id) == (40, counter.partners[0].id, redemption.id)
    assert (await counter.event_types(redemption))[-1] == "redemption.refunded"
    acts = await counter.rows("select action, actor from journal_entries where subject_id = :id", id=redemption.id)
    assert ("redemption.refunded", "key:k") in [tuple(act) for act in acts]


async def test_the_tokens_are_ordered_on_chain_by_their_issuer(counter: Counter) -> None:
    redemption = await granted(counter)
    await counter.refund(redemption)
    (entry,) = await counter.rows("select id from entries where reason_code = 'refund'")
    order = (await counter.orders())[entry.id]
    assert (order.kind, order.tokens, order.partner_number) == ("issue", 40, counter.partners[0].number)


async def test_a_refund_is_made_once_whoever_asks_again(counter: Counter) -> None:
    redemption = await granted(counter)
    await asyncio.gather(*(counter.refund(redemption) for _ in range(4)))
    assert (await counter.refund(redemption)).state == "refunded"
    assert await counter.counters() == (100, 0, 0, 0)
    async with transaction(counter.engine) as session:
        with pytest.raises(psycopg.IntegrityError):
            await ledger_refunds.refund(session, redemption.entry_id, counter.now, actor="key:k")


async def test_each_lot_comes_back_with_its_own_expiry_and_issuer(counter: Counter) -> None:
    soon, late = counter.now + 10 * DAY, counter.now + 90 * DAY
    await counter.write("update lots set expires_at = :at", at=late)
    issued = await counter.credit(30, partner=1, life=10 * DAY)
    await counter.mine(issued)
    redemption = await granted(counter, price_tokens=50)
    await counter.refund(redemption)
    found = [(row.tokens, row.partner_id, row.expires_at) for row in await counter.rows(LOTS)]
    assert sorted(found) == sorted([(30, counter.partners[1].id, soon), (20, counter.partners[0].id, late)])


async def test_what_expired_meanwhile_gets_a_time_of_grace_that_is_journalled(counter: Counter) -> None:
    await counter.write("update lots set expires_at = :at", at=counter.now + DAY)
    redemption = await granted(counter)
    counter.now += 2 * DAY
    await counter.refund(redemption)
    (credit,) = await counter.rows(LOTS)
    assert credit.expires_at == counter.now + GRACE
    (act,) = await counter.rows("select detail from journal_entries where action = 'refund.grace'")
    assert act.detail["tokens"] == 40


async def test_the_original_expiry_is_kept_to_the_instant(counter: Counter) -> None:
    now = counter.now
    assert refund_expiry(None, now) is None
    assert refund_expiry(now + timedelta(seconds=1), now) == now + timedelta(seconds=1)
    assert refund_expiry(now, now) == now + GRACE


class TestReturns:
    """M3: buy, earn, redeem, bring the goods back, ask for a refund, in whichever order."""

    async def buy_and_redeem(self, counter: Counter, tokens: int) -> tuple[Any, Redemption]:
        sale = await counter.sell(a_line(tokens * 100), member=1)
        await counter.mine(str(sale.entry_id))
        soon = "update lots set expires_at = :at where entry_id = :id"
        await counter.write(soon, at=counter.now + DAY, id=sale.entry_id)
        redemption = await counter.redeem(await counter.offer(price_tokens=tokens), member=1)
        await counter.burn(redemption)
        return sale, redemption

    @pytest.mark.parametrize("refund_first", [True, False])
    async def test_forgiven_tokens_do_not_come_back(self, counter: Counter, refund_first: bool) -> None:
        sale, redemption = await self.buy_and_redeem(counter, 60)
        if refund_first:
            await counter.refund(redemption)
            await counter.bring_back(sale)
        else:
            await counter.bring_back(sale)
            await counter.refund(redemption)
        assert await counter.counters(1) == (100, 0, 0, 0)

    @pytest.mark.parametrize("refund_first", [True, False])
    async def test_a_debt_is_settled_by_the_refund(self, engine: Any, refund_first: bool) -> None:
        counter = await make_counter(engine)
        await counter.write("update programs set return_policy = 'debt'")
        sale, redemption = await self.buy_and_redeem(counter, 60)
        if refund_first:
            await counter.refund(redemption)
            await counter.bring_back(sale)
        else:
            await counter.bring_back(sale)
            assert (await counter.counters(1))[3] == 60
            await counter.refund(redemption)
        available, _, _, debt = await counter.counters(1)
        assert (available, debt) == ((100, 0) if refund_first else (100, 60))

    async def test_a_refund_of_a_refund_still_knows_its_origin(self, counter: Counter) -> None:
        sale, redemption = await self.buy_and_redeem(counter, 60)
        await counter.refund(redemption)
        (credit,) = await counter.rows("select id from entries where reason_code = 'refund'")
        await counter.mine(credit.id)
        again = await counter.redeem(await counter.offer(price_tokens=60), member=1)
        await counter.burn(again)
        await counter.bring_back(sale)
        await counter.refund(again)
        assert await counter.counters(1) == (100, 0, 0, 0)
        rows = await counter.rows("select origin_entry_id, tokens, withheld_tokens from lot_refunds order by 2 desc")
        assert [tuple(row) for row in rows] == [(sale.entry_id, 60, 0), (sale.entry_id, 0, 60)]


class TestRefusals:
    async def test_only_what_is_granted_and_unused_is_refunded(self, counter: Counter) -> None:
        waiting = await counter.redeem(await counter.offer(price_tokens=1))
        with pytest.raises(NotRefundableError, match="burning"):
            await counter.refund(waiting)
        used, code = await counter.granted(price_tokens=1)
        await counter.use(code=code)
        with pytest.raises(NotRefundableError, match="used"):
            await counter.refund(used)
        late = await granted(counter, price_tokens=1, validity_days=1)
        counter.now += DAY
        with pytest.raises(NotRefundableError, match="expired"):
            await counter.refund(late)
        done = await counter.redeem(
            await counter.offer(price_tokens=1, terms=Donation(charity="F", amount_minor=1, currency="EUR"))
        )
        await counter.burn(done)
        with pytest.raises(NotRefundableError):
            await counter.refund(done)

    async def test_codes_of_another_shop_cannot_be_called_back(self, counter: Counter) -> None:
        reward = await counter.offer(terms=Discount(form="free_delivery", codes="pool"))
        async with transaction(counter.engine) as session:
            await pools.upload(session, reward.id, ["A"], counter.now, actor="key:k")
        redemption = await counter.redeem(reward)
        await counter.burn(redemption)
        with pytest.raises(NotRefundableError, match="shown"):
            await counter.refund(redemption)

    async def test_a_refunded_voucher_is_void(self, counter: Counter) -> None:
        redemption, code = await counter.granted()
        await counter.refund(redemption)
        with pytest.raises(VoucherNotGrantedError):
            await counter.use(code=code)
        assert rewards.voucher_of(await counter.redemption(redemption.id), SECRET) is None

    async def test_using_and_refunding_side_by_side_do_one_of_both(self, counter: Counter) -> None:
        redemption, code = await counter.granted()
        done = await asyncio.gather(counter.refund(redemption), counter.use(code=code), return_exceptions=True)
        assert sum(isinstance(item, Redemption) for item in done) == 1
        assert sum(isinstance(item, MereauError) for item in done) == 1
        refunded = await counter.state(redemption) == "refunded"
        assert await counter.counters() == ((100 if refunded else 60), 0, 0, 0)

    async def test_another_partners_redemption_is_not_there(self, counter: Counter) -> None:
        redemption = await granted(counter)
        with pytest.raises(NotFoundError):
            await counter.refund(redemption, partner_id=counter.partners[0].id)
        async with transaction(counter.engine) as session:
            with pytest.raises(NotFoundError):
                await ledger_refunds.refund(session, "ent_none", counter.now, actor="key:k")


async def test_undoing_cancels_or_refunds(counter: Counter) -> None:
    waiting = await counter.redeem(await counter.offer())
    done = await granted(counter)
    states = []
    for redemption in (waiting, waiting, done, done):
        async with transaction(counter.engine) as session:
            states.append((await refunds.undo(session, redemption.id, "damaged", counter.now, actor="key:k")).state)
    assert states == ["cancelled", "cancelled", "refunded", "refunded"]
    assert await counter.counters() == (100, 0, 0, 0)
