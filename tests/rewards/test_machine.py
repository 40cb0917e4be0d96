"""Rewards under every order of events beside a shadow: pieces, tokens and vouchers are never made or lost.

After each step: stock plus redemptions that took a piece and did not give it back is what there was; what a
member can spend, has reserved and has spent is what they were given; a voucher is used once at most.
"""

import asyncio
from collections import Counter as Tally
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from factories.earning import a_line, make_shop
from factories.rewards import SECRET, Counter
from mereau.core.clock import ManualClock
from mereau.core.db import create_engine, transaction
from mereau.core.errors import MereauError, NotFoundError
from mereau.members import service as members
from mereau.members.service import MemberDraft
from mereau.rewards import service as rewards
from mereau.rewards import tasks
from mereau.rewards.domain import voucher_code
from mereau.rewards.errors import NotRefundableError
from mereau.rewards.kinds.domain import Asked, Experience, PriorityService, Service
from mereau.rewards.models import Redemption, Reward

DAY = timedelta(days=1)
GIVEN = 200
MEMBERS = st.integers(0, 1)
KINDS = (Experience(starts_at="2026-06-01T18:00:00Z", place="Workshop"), PriorityService(), Service())
LIVE = {"burning", "granted", "used", "expired"}

STOCKS = "select id, stock from rewards where id = any(:rewards)"
STATES = "select id, state, used_at from redemptions where member_id = any(:members)"
USES = """
    select subject_id from journal_entries where action = 'redemption.used'
    and subject_id in (select id from redemptions where member_id = any(:members))
"""


@dataclass
class Shadow:
    """One redemption: `step` is how far its burn is, whatever the redemption knows of it yet."""

    made: Redemption
    member: int
    reward: int
    state: str = "burning"
    step: str = "queued"
    batch: str = ""
    expires_at: datetime | None = None
    reference: str | None = None


class RewardsMachine(RuleBasedStateMachine):
    """Two fresh members with tokens on chain and three fresh rewards per example."""

    runner: ClassVar[asyncio.Runner]
    counter: ClassVar[Counter]

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def open_the_counter(self) -> None:
        async def two() -> list[str]:
            drafts = [MemberDraft(self.counter.next_id("M")) for _ in range(2)]
            async with transaction(self.counter.engine) as session:
                return [member.id for member in await members.enrol(session, drafts, self.counter.now)]

        # Vouchers that an earlier example left are over.
        self.counter.now += 4 * DAY
        self.run(tasks.expire_vouchers(self.counter.engine, ManualClock(self.counter.now)))
        self.counter.members = self.run(two())
        for member in range(2):
            sale = self.run(self.counter.sell(a_line(GIVEN * 100), member=member))
            self.run(self.counter.mine(str(sale.entry_id)))
        self.stock: list[int | None] = [1, 3, None]
        self.offers: list[Reward] = [
            self.run(self.counter.offer(stock=stock, price_tokens=price, validity_days=3, terms=terms))
            for stock, price, terms in zip(self.stock, (60, 35, 20), KINDS, strict=True)
        ]
        self.offered = [True] * 3
        self.all: list[Shadow] = []
        self.run(self.counter.listen())
        ((self.first_news,),) = self.run(self.counter.rows("select max(seq) from outbox_cursors"))
        for member in range(2):
            self.redeem(member, 2, referenced=False)
            self.grant_in_one_go(self.all[-1])

    def in_step(self, *steps: str) -> list[Shadow]:
        return [item for item in self.all if item.step in steps]

    def available(self, member: int) -> int:
        free = {"rejected", "cancelled", "refunded"}
        gone = sum(i.made.tokens for i in self.all if i.member == member and i.step not in free)
        return GIVEN - gone

    def left(self, reward: int) -> int | None:
        stock = self.stock[reward]
        return None if stock is None else stock - sum(i.state in LIVE for i in self.all if i.reward == reward)

    async def ask(self, offer: Reward, member: int, reference: str | None) -> Redemption:
        asked = Asked(names=["Camille"] if offer.id == self.offers[0].id else [])
        return await self.counter.redeem(offer, member, reference, asked=asked)

    @rule(member=MEMBERS, reward=st.integers(0, 2), referenced=st.booleans())
    def redeem(self, member: int, reward: int, referenced: bool) -> None:
        reference = self.counter.next_id("app") if referenced else None
        offer, price = self.offers[reward], self.offers[reward].price_tokens
        expected = None
        if not self.offered[reward]:
            expected = "inactive"
        elif self.left(reward) == 0:
            expected = "out_of_stock"
        elif self.available(member) < price:
            expected = "insufficient_balance"
        if expected is not None:
            with pytest.raises(MereauError) as refusal:
                self.run(self.ask(offer, member, reference))
            assert refusal.value.code == expected
            return
        made = self.run(self.ask(offer, member, reference))
        assert (made.state, made.tokens) == ("burning", price)
        self.all.append(Shadow(made, member, reward, reference=reference))

    @precondition(lambda self: any(item.reference for item in self.all))
    @rule(data=st.data())
    def redeem_again(self, data: st.DataObject) -> None:
        """The reference is answered with its redemption, whatever became of it and of the reward."""
        known = data.draw(st.sampled_from([item for item in self.all if item.reference]))
        again = self.run(self.ask(self.offers[known.reward], known.member, known.reference))
        assert again.id == known.made.id

    @rule(reward=st.integers(0, 2))
    def offer_or_withdraw(self, reward: int) -> None:
        self.offered[reward] = not self.offered[reward]

        async def change() -> None:
            status: Any = "active" if self.offered[reward] else "inactive"
            async with transaction(self.counter.engine) as session:
                await rewards.set_status(session, self.offers[reward].id, status, self.counter.now, actor="key:k")

        self.run(change())

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.all))
        if item.state == "cancelled":
            assert self.run(self.counter.cancel(item.made)).state == "cancelled"
        elif item.state == "burning" and item.step == "queued":
            assert self.run(self.counter.cancel(item.made)).state == "cancelled"
            item.state = item.step = "cancelled"
        else:
            with pytest.raises(MereauError) as refusal:
                self.run(self.counter.cancel(item.made))
            expected = "not_cancellable" if item.state != "burning" else refusal.value.code
            assert refusal.value.code == expected
            assert refusal.value.status == 409

    @precondition(lambda self: self.in_step("queued"))
    @rule(data=st.data())
    def seal(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.in_step("queued")))
        item.batch = self.run(self.counter.seal(item.made.entry_id))
        item.step = "sealed"

    @precondition(lambda self: self.in_step("sealed"))
    @rule(data=st.data())
    def mine(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.in_step("sealed")))
        self.run(self.counter.follow(mined=[item.batch]))
        item.step = "mined"

    @precondition(lambda self: self.in_step("mined"))
    @rule(data=st.data(), stays=st.booleans())
    def finish_or_reorganise(self, data: st.DataObject, stays: bool) -> None:
        item = data.draw(st.sampled_from(self.in_step("mined")))
        self.run(self.counter.follow(**{"final" if stays else "reorged": [item.batch]}))
        item.step = "final" if stays else "sealed"

    def grant_in_one_go(self, item: Shadow) -> None:
        self.run(self.counter.burn(item.made))
        item.step = "final"
        self.listen(again=False)

    @precondition(lambda self: self.in_step("queued"))
    @rule(data=st.data())
    def grant(self, data: st.DataObject) -> None:
        """The whole way at once, so that vouchers are there to be used and to expire."""
        self.grant_in_one_go(data.draw(st.sampled_from(self.in_step("queued"))))

    def with_voucher(self) -> list[Shadow]:
        return [item for item in self.all if item.state in {"granted", "used", "expired"}]

    @precondition(lambda self: self.with_voucher())
    @rule(data=st.data(), by_code=st.booleans())
    def use_a_voucher(self, data: st.DataObject, by_code: bool) -> None:
        self.use_one(data.draw(st.sampled_from(self.with_voucher())), by_code)

    @precondition(lambda self: self.with_voucher())
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        """What is granted and unused comes back whole, once; what is used or over does not."""
        item = data.draw(st.sampled_from(self.with_voucher()))
        late = item.expires_at is not None and item.expires_at <= self.counter.now
        if item.state == "granted" and not late:
            assert self.run(self.counter.refund(item.made)).state == "refunded"
            item.state = item.step = "refunded"
            assert self.run(self.counter.refund(item.made)).state == "refunded"
            return
        with pytest.raises(NotRefundableError):
            self.run(self.counter.refund(item.made))

    @precondition(lambda self: self.in_step("queued"))
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.in_step("queued")))
        self.run(self.counter.reject(item.made.entry_id))
        item.step = "rejected"

    @rule(again=st.booleans())
    def listen(self, again: bool) -> None:
        """Hear the news, sometimes all of them once more."""
        if again:
            self.run(self.counter.write("update outbox_cursors set seq = :seq", seq=self.first_news))
        self.run(self.counter.listen())
        for item in self.all:
            if item.state == "burning" and item.step == "final":
                item.state, item.expires_at = "granted", self.counter.now + 3 * DAY
            elif item.state == "burning" and item.step == "rejected":
                item.state = "rejected"

    @precondition(lambda self: self.all)
    @rule(data=st.data(), by_code=st.booleans())
    def use(self, data: st.DataObject, by_code: bool) -> None:
        self.use_one(data.draw(st.sampled_from(self.all)), by_code)

    def use_one(self, item: Shadow, by_code: bool) -> None:
        code = voucher_code(SECRET, item.made.id)
        what = {"code": code} if by_code else {"redemption_id": item.made.id}
        with pytest.raises(NotFoundError):
            self.run(self.counter.use(partner=0, **what))
        late = item.expires_at is not None and item.expires_at <= self.counter.now
        if item.state == "granted" and not late:
            assert self.run(self.counter.use(**what)).state == "used"
            item.state = "used"
            return
        expected = {"used": "voucher_used", "granted": "voucher_expired", "expired": "voucher_expired"}
        unknown = "not_found" if by_code else "voucher_not_granted"
        with pytest.raises(MereauError) as refusal:
            self.run(self.counter.use(**what))
        assert refusal.value.code == expected.get(item.state, unknown)

    @rule(days=st.integers(1, 2))
    def let_time_pass(self, days: int) -> None:
        self.counter.now += days * DAY
        due = [i for i in self.all if i.state == "granted" and i.expires_at and i.expires_at <= self.counter.now]
        assert self.run(tasks.expire_vouchers(self.counter.engine, ManualClock(self.counter.now))) == len(due)
        for item in due:
            item.state = "expired"

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        mine = {"members": self.counter.members}
        rows = self.run(self.counter.rows(STATES, **mine))
        assert {row.id: row.state for row in rows} == {item.made.id: item.state for item in self.all}
        assert all((row.used_at is not None) == (row.state == "used") for row in rows)
        uses = Tally(row.subject_id for row in self.run(self.counter.rows(USES, **mine)))
        assert uses == Tally(item.made.id for item in self.all if item.state == "used")
        offers = [offer.id for offer in self.offers]
        stocks = {row.id: row.stock for row in self.run(self.counter.rows(STOCKS, rewards=offers))}
        assert stocks == {offer: self.left(index) for index, offer in enumerate(offers)}
        for member in range(2):
            held = sum(i.made.tokens for i in self.in_step("queued", "sealed") if i.member == member)
            assert self.run(self.counter.counters(member)) == (self.available(member), 0, held, 0)


def test_rewards_are_their_shadow(database_url: str) -> None:
    with asyncio.Runner() as runner:
        engine = create_engine(database_url)
        shop = runner.run(make_shop(engine, member_count=0))
        counter = Counter(engine, shop.now, shop.partners, shop.members)
        machine = type("BoundRewardsMachine", (RewardsMachine,), {"runner": runner, "counter": counter})
        try:
            phases = (Phase.explicit, Phase.generate)
            run_state_machine_as_test(machine, settings=settings(max_examples=5, stateful_step_count=30, phases=phases))
        finally:
            runner.run(engine.dispose())
