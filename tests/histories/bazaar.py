"""A place where everything happens to members at once: they buy, return, redeem, rise, fall, and rules change.

What is done comes from a seed; what is refused for a reason is part of the history.
"""

import asyncio
import random
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from factories.earning import a_line
from factories.ledger import LedgerWorld
from factories.rewards import Counter
from factories.tiers import Club
from mereau.auth.domain import Principal, Role, Scope
from mereau.core.db import transaction
from mereau.core.errors import MereauError
from mereau.earning import service as earning
from mereau.earning.crediting.service import award
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.earning.service import RecordedSale
from mereau.ledger import tasks
from mereau.ledger.adjustments import service as adjustments
from mereau.ledger.adjustments.domain import AdjustmentDraft, Direction
from mereau.ledger.aging import service as aging
from mereau.ledger.extensions import service as extensions
from mereau.ledger.tasks import ExpirableReader
from mereau.members import service as members
from mereau.members.service import MemberDraft
from mereau.programs.settings import service as settings
from mereau.programs.settings.service import SettingsChange
from mereau.rewards.models import Redemption, Reward

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
THRESHOLDS: Final = (60, 150)
PROMO_TOKENS_MAX, PROMO_USES_MAX = 60, 3
POT_TOKENS_MAX = 90
DAILY_TOKENS_MAX = 120
STOCK = 5

_PROMO_LIMIT = {"per": "member", "period": "ever", "uses": PROMO_USES_MAX, "tokens": PROMO_TOKENS_MAX}
_POT = {"per": "rule", "period": "ever", "tokens": POT_TOKENS_MAX}
_DAILY = {"per": "programme", "period": "day", "tokens": DAILY_TOKENS_MAX}
_EVENT = {"trigger": "custom_event"}

RULES: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "base": [
        {"rate": {"tokens": 1, "per_minor": 100}},
        {"rate": {"tokens": 2, "per_minor": 100}, "expiry": {"mode": "rolling", "amount": 3}},
        {"rate": {"tokens": 1, "per_minor": 50}, "activation": {"mode": "delay", "delay_s": 2 * 86_400}},
        {"rate": {"tokens": 1, "per_minor": 80}, "activation": {"mode": "event", "latest_s": 9 * 86_400}},
    ],
    "promo": [
        {"fixed": {"tokens": 7}, "limits": [_PROMO_LIMIT]},
        {"fixed": {"tokens": 25}, "limits": [_PROMO_LIMIT], "expiry": {"mode": "rolling", "amount": 1}},
    ],
    "pot": [
        {"fixed": {"tokens": 11, "per": "item"}, "limits": [_POT, _DAILY]},
        {"fixed": {"tokens": 20}, "limits": [_POT | {"over": "refuse"}, _DAILY], "priority": 5},
    ],
    "visit": [{"fixed": {"tokens": 4, "per": "visit"}}, {"fixed": {"tokens": 9, "per": "visit"}}],
    "third": [{"every_nth": {"n": 3, "tokens": 30}}, {"every_nth": {"n": 2, "tokens": 8}}],
    "silver": [{"multiplier": {"percent": 200}, "audience": {"tiers": ["silver"]}}],
    "event": [
        _EVENT | {"fixed": {"tokens": 15}, "limits": [_DAILY]},
        _EVENT | {"fixed": {"tokens": 6}, "limits": [_DAILY, _PROMO_LIMIT | {"tokens": 10_000}]},
    ],
}
ALWAYS: Final = "base"
OPERATOR: Final = Principal("key_operator", Role.OPERATOR, frozenset(Scope))


@dataclass
class Bazaar(Club, Counter):
    """Sales, tiers and rewards of one programme."""


@dataclass
class Bought:
    """A sale and the units of each line that are still out."""

    sale: RecordedSale
    left: list[int]


@dataclass
class History:
    """What a seed does to two members. `chain` moves orders; `story` says what was done, for the reader of a failure.

    Several acts at once (`storm`) are real transactions side by side: their seed does not fix who comes first.
    """

    bazaar: Bazaar
    chance: random.Random
    rewards: Sequence[Reward]
    expirable: ExpirableReader
    number: int
    policy: str
    sales: list[Bought] = field(default_factory=list)
    redemptions: list[Redemption] = field(default_factory=list)
    active: dict[str, str] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    done: Tally[str] = field(default_factory=Tally)

    def name_of(self, rule: str) -> str:
        """Each history counts under names of its own."""
        return f"{rule}-{self.number}"

    async def act(self, name: str) -> None:
        """Do one thing; a refusal is told and counts as done."""
        try:
            said = await ACTS[name](self)
        except MereauError as error:
            self.story.append(f"{name}: {error.code}")
            self.done[f"{name}: {error.code}"] += 1
            return
        self.tell(name, said)

    def tell(self, name: str, said: object) -> None:
        """None is for what there was nothing to do with."""
        self.story.append(f"{name}: {said}")
        self.done[name] += said is not None

    async def storm(self) -> None:
        """Several things at once."""
        names = self.chance.choices(STORMY, k=self.chance.randint(3, 6))
        self.story.append(f"at once: {', '.join(names)}")
        await asyncio.gather(*(self.act(name) for name in names))
        self.done["storm"] += 1

    def member(self) -> int:
        return self.chance.randrange(len(self.bazaar.members))

    async def sell(self) -> str:
        drafts = []
        for _ in range(self.chance.choice([1, 1, 2])):
            lines = [
                a_line(self.chance.choice([0, 99, 350, 1_000, 3_333]), quantity=self.chance.randint(1, 3))
                for _ in range(self.chance.randint(1, 3))
            ]
            past = self.chance.choice([0, 0, 0, 5, 40]) * HOUR
            who, where = self.member(), self.chance.randrange(2)
            drafts.append(self.bazaar.a_sale(*lines, member=who, partner=where, occurred_at=self.bazaar.now - past))
        for draft, sale in zip(drafts, await self.bazaar.record(*drafts), strict=True):
            assert isinstance(sale, RecordedSale), sale
            self.sales.append(Bought(sale, [line.quantity for line in draft.lines]))
        return " + ".join(str(bought.sale.tokens) for bought in self.sales[-len(drafts) :])

    async def bring_back(self) -> str | None:
        """Some of what is out of one sale, or all of it."""
        open_ = [bought for bought in self.sales if any(bought.left)]
        if not open_:
            return None
        bought = self.chance.choice(open_)
        whole = self.chance.random() < 0.3
        units = {
            number: left if whole else self.chance.randint(0, left)
            for number, left in enumerate(bought.left, 1)
            if left
        }
        lines = [(number, count) for number, count in units.items() if count]
        for number, count in lines:
            bought.left[number - 1] -= count
        if not lines:
            return None
        done = await self.bazaar.bring_back(bought.sale, *lines)
        return f"{done.tokens_reversed} of {done.tokens_due}"

    async def event(self) -> str:
        occasion = Occasion(
            "custom_event",
            self.bazaar.now,
            MemberFacts(self.bazaar.members[self.member()]),
            source_id=self.bazaar.next_id("act"),
            source_reference="visit",
            partner_id=self.bazaar.partners[0].id,
            attributes={"event": "visit"},
        )
        async with transaction(self.bazaar.engine) as session:
            (done,) = await award(session, [occasion], self.bazaar.now)
        return str(done.tokens)

    async def redeem(self) -> str:
        made = await self.bazaar.redeem(self.chance.choice(self.rewards), self.member())
        self.redemptions.append(made)
        return str(made.tokens)

    async def cancel(self) -> str | None:
        return await self._with_redemption(self.bazaar.cancel)

    async def refund(self) -> str | None:
        return await self._with_redemption(self.bazaar.refund)

    async def use(self) -> str | None:
        return await self._with_redemption(lambda made: self.bazaar.use(redemption_id=made.id))

    async def _with_redemption(self, what: Callable[[Redemption], Awaitable[Redemption]]) -> str | None:
        """One of the newest, mostly; those of long ago have come to their end."""
        if not self.redemptions:
            return None
        return (await what(self.chance.choice(self.redemptions[-self.chance.choice([1, 2, 9]) :]))).state

    async def change_rule(self) -> str | None:
        """A rule gets another version, or is over; the base stays, for without a rule nobody may sell."""
        name = self.chance.choice(sorted(RULES))
        reference = self.active.get(name)
        if reference is not None and name != ALWAYS and self.chance.random() < 0.4:
            del self.active[name]
            await self.end_rule(reference)
            return f"no {name}"
        self.active[name] = await self.bazaar.activate(self.chance.choice(RULES[name]), self.name_of(name))
        return name

    async def end_rule(self, reference: str) -> None:
        async with transaction(self.bazaar.engine) as session:
            await earning.deactivate_rule(session, reference.partition("@")[0], self.bazaar.now, actor="key:test")

    async def wait(self) -> str:
        self.bazaar.now += self.chance.choice([HOUR, DAY, 2 * DAY, 4 * DAY])
        return f"{await self.activate_due()} activated"

    async def activate_due(self) -> int:
        return await tasks.activate_due(self.bazaar.engine, self.bazaar.now, chunk=3)

    async def activate_early(self) -> str | None:
        """What a pending credit waited for has happened."""
        query = "select id from entries where state in ('pending', 'cancelled') and member_id = any(:ids) order by seq"
        waiting = await self.bazaar.rows(query, ids=self.bazaar.members)
        if not waiting:
            return None
        entry_id = self.chance.choice(waiting).id
        async with transaction(self.bazaar.engine) as session:
            await aging.activate_early(session, entry_id, self.bazaar.now, actor="key:test")
        return str(entry_id)

    async def expire(self) -> str | None:
        """Two days pass, and what is over by then expires."""
        self.bazaar.now += 2 * DAY
        expired = await tasks.expire_due(self.bazaar.engine, self.bazaar.now, self.expirable, chunk=3)
        return f"{expired} tokens" if expired else None

    async def extend(self) -> str:
        until = self.bazaar.now + self.chance.choice([DAY, 3 * DAY, 9 * DAY])
        member_id = self.bazaar.members[self.member()]
        async with transaction(self.bazaar.engine) as session:
            done = await extensions.extend(session, member_id, until, "goodwill", self.bazaar.now, actor="key:test")
        return f"{done.tokens} tokens"

    async def adjust(self) -> str:
        """An operator credits or debits by hand."""
        direction: Direction = self.chance.choice(["credit", "debit", "debit"])
        draft = AdjustmentDraft(
            self.bazaar.members[self.member()], self.chance.choice(self.bazaar.partners).id, direction,
            self.chance.choice([1, 9, 30]), "correction", "counted again",
        )  # fmt: skip
        async with transaction(self.bazaar.engine) as session:
            done = await adjustments.adjust(session, draft, OPERATOR, self.bazaar.now)
        return f"{direction} {done.applied_tokens}"

    async def follow(self) -> str:
        return f"{await self.bazaar.follow_events()} events"

    async def listen(self) -> str:
        return f"{await self.bazaar.listen()} events"

    async def walk(self) -> str:
        await self.bazaar.settle()
        return "tiers"

    async def assign(self) -> str:
        tier = self.chance.choice(["bronze", "silver", None])
        if tier is None:
            await self.bazaar.unassign(self.member())
        else:
            ends_at = self.chance.choice([None, self.bazaar.now + 2 * DAY])
            await self.bazaar.assign(tier, self.member(), ends_at=ends_at)
        return str(tier)


ACTS: Final[Mapping[str, Callable[[History], Awaitable[object]]]] = {
    name: getattr(History, name)
    for name in (
        "sell", "bring_back", "event", "redeem", "cancel", "refund", "use", "change_rule", "wait", "activate_due",
        "activate_early", "expire", "extend", "adjust", "follow", "listen", "walk", "assign",
    )
}  # fmt: skip
STORMY: Final = (
    "sell", "sell", "bring_back", "bring_back", "event", "redeem", "redeem", "cancel", "refund", "use", "activate_due",
    "activate_early", "expire", "extend", "adjust", "adjust", "follow", "listen", "change_rule", "assign",
)  # fmt: skip


async def open_bazaar(world: LedgerWorld) -> Bazaar:
    """A programme of two tiers."""
    bazaar = Bazaar(world.engine, world.now, world.partners, world.members)
    await bazaar.enforce(*THRESHOLDS, basis="tokens_earned", window="since_joining", window_months=None)
    return bazaar


async def begin(bazaar: Bazaar, seed: int, expirable: ExpirableReader, *, policy: Any) -> History:
    """Two new members, three rewards and every rule, as if nobody had been there before."""
    history = History(bazaar, random.Random(seed), [], expirable, seed, policy)
    async with transaction(bazaar.engine) as session:
        await settings.change(session, SettingsChange(return_policy=policy), None, bazaar.now, actor="key:test")
        drafts = [MemberDraft(bazaar.next_id("M")) for _ in range(2)]
        bazaar.members = [member.id for member in await members.enrol(session, drafts, bazaar.now)]
    history.rewards = [await bazaar.offer(price_tokens=price, stock=STOCK, validity_days=6) for price in (5, 20, 60)]
    for name in RULES:
        history.active[name] = await bazaar.activate(history.chance.choice(RULES[name]), history.name_of(name))
    return history


async def end(history: History) -> None:
    """No rule of this history is active for the next."""
    await history.bazaar.write("update earning_rules set status = 'inactive' where status = 'active'")
