"""What must hold after every act of a history, told by entries and goods and not by the counters that are judged."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from factories.tiers import NAMES
from histories.bazaar import (
    DAILY_TOKENS_MAX,
    POT_TOKENS_MAX,
    PROMO_TOKENS_MAX,
    PROMO_USES_MAX,
    STOCK,
    THRESHOLDS,
    Bazaar,
    History,
)

FIGURES: Final = """
    with e as (
        select member_id,
            sum(tokens) filter (where kind = 'issue' and state = 'accepted') as issued,
            sum(tokens) filter (where kind = 'issue' and state = 'pending') as pending,
            sum(tokens) filter (where kind = 'reverse' and state = 'accepted') as reversed,
            sum(tokens) filter (where kind = 'redeem' and state = 'accepted') as redeemed,
            sum(tokens) filter (where kind = 'expire' and state = 'accepted') as expired,
            bool_or(kind = 'issue' and state = 'rejected') as was_refused
        from entries where member_id = any(:ids) group by 1
    ), l as (
        select l.member_id,
            sum(remaining) filter (where l.state <> 'pending') as free,
            sum(remaining) filter (where l.state = 'pending') as waiting,
            sum(held) as held,
            sum(l.tokens) filter (where e.state <> 'rejected') as credited,
            sum(least(unmet, expired + corrected)) as lost_unmet, sum(unmet) as unmet, sum(corrected) as corrected,
            min(least(remaining, held, spent, reversed, expired, unmet)) as least,
            bool_and(remaining + held + spent + reversed + expired = l.tokens) as is_conserved
        from lots l join entries e on e.id = l.entry_id where l.member_id = any(:ids) group by 1
    ), g as (
        select s.member_id, sum(l.reversed_tokens) as due from sales s join sale_lines l on l.sale_id = s.id
        where s.member_id = any(:ids) group by 1
    ), r as (
        select e.member_id, sum(f.withheld_tokens) as withheld, sum(f.tokens + f.withheld_tokens) as given_back
        from lot_refunds f join entries e on e.id = f.redeem_entry_id where e.member_id = any(:ids) group by 1
    ), h as (
        select member_id, sum(tokens) as tokens from holds where state = 'pending' and member_id = any(:ids) group by 1
    ), o as (
        select o.wallet,
            sum(case o.kind when 'issue' then o.tokens when 'redeem' then 0 else -o.tokens end) as tokens
        from chain_orders o left join chain_batches c on c.id = o.batch_id
        where o.state = 'queued' or (o.state = 'sealed' and c.state not in ('mined', 'final')) group by 1
    )
    select a.member_id, a.available, a.pending, a.held, a.debt, coalesce(e.issued, 0) as issued,
        coalesce(e.pending, 0) as issued_later, coalesce(e.reversed, 0) as reversed,
        coalesce(e.redeemed, 0) as redeemed, coalesce(e.expired, 0) as expired, coalesce(e.was_refused, false) as
        was_refused, coalesce(l.free, 0) as free, coalesce(l.waiting, 0) as waiting, coalesce(l.held, 0) as lots_held,
        coalesce(l.credited, 0) as credited, coalesce(l.lost_unmet, 0) as lost_unmet,
        coalesce(l.corrected, 0) as corrected,
        coalesce(l.unmet, 0) as unmet, coalesce(l.least, 0) as least, coalesce(l.is_conserved, true) as is_conserved,
        coalesce(g.due, 0) as due, coalesce(r.withheld, 0) as withheld,
        coalesce(r.given_back, 0) as given_back, coalesce(h.tokens, 0) as on_hold, coalesce(b.tokens, 0) as on_chain,
        coalesce(o.tokens, 0) as open
    from accounts a
    join wallets w on w.owner_kind = 'member' and w.owner_id = a.member_id
    left join e using (member_id) left join l using (member_id) left join g using (member_id)
    left join h using (member_id) left join r using (member_id)
    left join chain_balances b on b.wallet = w.address
    left join o on o.wallet = w.address
    where a.member_id = any(:ids)
"""

AWARDS: Final = """
    with shares as (
        select entry_id, sale_id, sum(reversed_tokens) as due from sale_credits group by 1, 2
        union all
        select s.entry_id, s.id, sum(l.reversed_tokens) from sales s join sale_lines l on l.sale_id = s.id
        where s.entry_id is not null and not exists (select 1 from sale_credits c where c.sale_id = s.id) group by 1, 2
    )
    select e.id, e.member_id, e.state, l.tokens - coalesce(h.due, 0) as tokens,
        l.corrected, split_part(r.external_id, '-', 1) as rule,
        (e.occurred_at at time zone 'Europe/Paris')::date as day, coalesce(
            (select bool_and(returned_quantity = quantity) from sale_lines x where x.sale_id = h.sale_id), false
        ) as is_back
    from entries e join lots l on l.entry_id = e.id left join earning_rules r on e.rule = r.id || '@' || r.version
    left join shares h on h.entry_id = e.id
    where e.member_id = any(:ids) and e.kind = 'issue' and e.reason_code <> 'refund'
"""

STOCKS: Final = """
    select r.id, r.stock, count(d.id) filter (where d.state not in ('rejected', 'cancelled', 'refunded')) as out
    from rewards r left join redemptions d on d.reward_id = r.id where r.id = any(:ids) group by 1, 2
"""


async def check(history: History) -> None:
    """AssertionError with the whole story where a law is broken."""
    bazaar = history.bazaar
    broken = [line async for line in _broken(bazaar, history)]
    assert not broken, "\n".join([*broken, *history.story])


async def _broken(bazaar: Bazaar, history: History) -> Any:
    for row in await bazaar.rows(FIGURES, ids=bazaar.members):
        for law in figures(row, history.policy):
            yield f"{row.member_id}: {law}: {row._asdict()}"
    awards = await bazaar.rows(AWARDS, ids=bazaar.members)
    for law in limits(awards):
        yield law
    for row in await bazaar.rows(STOCKS, ids=[reward.id for reward in history.rewards]):
        if row.stock < 0 or row.stock + row.out > STOCK:
            yield f"stock of {row.id}: {row.stock} left, {row.out} out"


def figures(row: Any, policy: str) -> Iterator[str]:
    """The laws of one member's tokens that are broken."""
    if row.least < 0 or not row.is_conserved:
        yield "a lot is below zero, or has more or less than it was given"
    if min(row.available, row.pending, row.held, row.debt) < 0:
        yield "a counter is below zero"
    if row.issued - row.reversed - row.redeemed - row.expired != row.available:
        yield "issued - reversed - redeemed - expired is not the balance"
    if (row.free, row.waiting, row.lots_held) != (row.available, row.pending, row.held):
        yield "the lots are not the counters"
    if (row.issued_later, row.on_hold) != (row.pending, row.held):
        yield "what is pending or held is not what entries and holds say"
    if row.on_chain + row.open != row.available + row.held:
        yield "the chain and what is open on it is not what the lots hold"
    if not row.was_refused:
        yield from debts(row, policy)


def debts(row: Any, policy: str) -> Iterator[str]:
    """Whatever returns ask for is taken, owed or forgiven; under `debt` only what was lost otherwise is forgiven."""
    net = row.available + row.pending - row.debt
    forgiven = net - (row.credited - row.due - row.redeemed - row.expired - row.corrected)
    if policy == "clamp" and row.debt:
        yield "a debt where returns forgive"
    if policy == "clamp" and forgiven - row.withheld > row.redeemed - row.given_back + row.expired + row.corrected:
        yield "tokens of returned goods were forgiven, and are there"
    if not 0 <= forgiven <= (row.lost_unmet if policy == "debt" else row.unmet):
        yield f"{forgiven} tokens are forgiven"


def limits(awards: list[Any]) -> Iterator[str]:
    """The limits that rules went beyond, in tokens less what came back and in uses less sales that all came back."""
    members = {row.member_id for row in awards}
    for member in members:
        promo = [row for row in awards if row.rule == "promo" and row.member_id == member]
        if sum(row.tokens for row in promo) > PROMO_TOKENS_MAX:
            yield "promo: tokens per member"
        if sum(not row.is_back for row in promo) > PROMO_USES_MAX:
            yield "promo: uses per member"
        visits = [row.day for row in awards if row.rule == "visit" and row.member_id == member and not row.is_back]
        if len(visits) != len(set(visits)):
            yield "visit: twice a day"
    if sum(row.tokens for row in awards if row.rule == "pot") > POT_TOKENS_MAX:
        yield "pot: budget of the rule"
    by_day: Counter[date] = Counter()
    for row in awards:
        by_day[row.day] += row.tokens if row.rule in {"pot", "event"} else 0
    if any(tokens > DAILY_TOKENS_MAX for tokens in by_day.values()):
        yield "pot and event: budget of the day"


async def check_tiers(history: History) -> None:
    """Who holds a tier by merit holds the one that the tokens earned and kept are worth."""
    bazaar = history.bazaar
    earned = dict.fromkeys(bazaar.members, 0)
    for row in await bazaar.rows(AWARDS, ids=bazaar.members):
        earned[row.member_id] += max(0, row.tokens - row.corrected) if row.state == "accepted" else 0
    assigned = await bazaar.rows(
        "select member_id from tier_standings where assigned_by is not null and member_id = any(:ids)",
        ids=bazaar.members,
    )
    by_hand = {row.member_id for row in assigned}
    for member, held in zip(bazaar.members, await bazaar.tiers(), strict=True):
        if member not in by_hand:
            rank = sum(threshold <= earned[member] for threshold in THRESHOLDS)
            assert held == (NAMES[rank - 1] if rank else None), "\n".join(history.story)
