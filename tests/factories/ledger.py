"""A programme with partners and members on a real database, and a hand that moves orders as the chain would.

The hand writes what relayer and mirror write, so that a test decides what is sealed, mined, refused or undone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain.delta import MirrorDelta
from mereau.core.db import snapshot, transaction
from mereau.ledger import service as ledger
from mereau.ledger.progress.domain import Rejection
from mereau.ledger.service import Balance, Credit, PostedEntry, PostedReversal, Reversal
from mereau.members import service as members
from mereau.members.service import MemberDraft
from mereau.partners import service as partners
from mereau.partners.models import Partner
from mereau.partners.service import PartnerDraft
from mereau.programs import service as programs
from mereau.programs.service import ProgramDraft
from mereau.wallets import service as wallets
from mereau.wallets.keystore import Seed

SEED = Seed(bytes(range(32)))
START = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)

ADD_BATCH = text("""
    insert into chain_batches (id, kind, partner_number, sender, call_data, order_count, tokens, gas_limit, state)
    select :batch, kind, partner_number, '', '', cardinality(cast(:ids as text[])), 0, 0, 'sealed'
    from chain_orders where id = :first
""")
SEAL = text("""
    update chain_orders set state = 'sealed', batch_id = :batch, batch_index = place.number - 1
    from unnest(cast(:ids as text[])) with ordinality as place (id, number)
    where chain_orders.id = place.id and state = 'queued'
""")


@dataclass
class LedgerWorld:
    """One programme, two partners, some members; ids of entries are `ent_1`, `ent_2` ..."""

    engine: AsyncEngine
    now: datetime = START
    partners: list[Partner] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))
    blocks: Any = field(default_factory=lambda: count(1))

    def next_id(self, prefix: str = "ent") -> str:
        return f"{prefix}_{next(self.numbers)}"

    def a_credit(self, tokens: int, member: int = 0, **changes: Any) -> Credit:
        """A credit of this moment by the first partner, without expiry; `life` and `delay` are timedeltas."""
        life, delay = changes.pop("life", None), changes.pop("delay", timedelta())
        partner = changes.pop("partner", 0)
        fields: dict[str, Any] = {
            "entry_id": self.next_id(),
            "member_id": self.members[member],
            "partner_id": self.partners[partner].id,
            "staff_id": None,
            "tokens": tokens,
            "source_id": self.next_id("sal"),
            "source_reference": "till 4, receipt 17",
            "rule": "base:1",
            "reason_code": "sale",
            "occurred_at": self.now,
            "activates_at": self.now + delay,
            "expires_at": None if life is None else self.now + delay + life,
        }
        return Credit(**fields | changes)

    async def post(self, *credits_: Credit) -> list[PostedEntry]:
        async with transaction(self.engine) as session:
            return await ledger.credit(session, credits_, self.now)

    async def credit(self, tokens: int, member: int = 0, **changes: Any) -> str:
        """Post one credit; its entry id."""
        (posted,) = await self.post(self.a_credit(tokens, member, **changes))
        return posted.entry_id

    def a_reversal(self, credit_entry_id: str, tokens: int, partner: int = 0, **changes: Any) -> Reversal:
        fields: dict[str, Any] = {
            "entry_id": self.next_id(),
            "credit_entry_id": credit_entry_id,
            "tokens": tokens,
            "partner_id": self.partners[partner].id,
            "staff_id": None,
            "source_id": self.next_id("ret"),
            "source_reference": "return 3",
            "reason_code": "return",
            "occurred_at": self.now,
        }
        return Reversal(**fields | changes)

    async def take_back(self, *reversals: Reversal) -> list[PostedReversal]:
        async with transaction(self.engine) as session:
            return await ledger.reverse(session, reversals, self.now)

    async def reverse(self, credit_entry_id: str, tokens: int, partner: int = 0) -> PostedReversal:
        (posted,) = await self.take_back(self.a_reversal(credit_entry_id, tokens, partner))
        return posted

    async def hold(self, tokens: int, member: int = 0, **changes: Any) -> str:
        """Hold tokens for a redemption at the second partner; its entry id."""
        fields: dict[str, Any] = {
            "entry_id": self.next_id(),
            "member_id": self.members[member],
            "partner_id": self.partners[1].id,
            "tokens": tokens,
            "source_id": self.next_id("red"),
            "source_reference": "coffee",
            "occurred_at": self.now,
            "now": self.now,
        }
        async with transaction(self.engine) as session:
            return (await ledger.hold(session, **fields | changes)).entry_id

    async def void(self, entry_id: str, reason: str = "cancelled") -> None:
        async with transaction(self.engine) as session:
            await ledger.void_hold(session, entry_id, reason, self.now)

    async def balance(self, member: int = 0) -> Balance:
        async with snapshot(self.engine) as session:
            return await ledger.balance(session, self.members[member])

    async def counters(self, member: int = 0) -> tuple[int, int, int, int]:
        """(available, pending, held, debt) as the API shows them."""
        seen = await self.balance(member)
        return seen.available, seen.pending, seen.held, seen.debt

    async def statuses(self, *entry_ids: str) -> list[str]:
        async with snapshot(self.engine) as session:
            views = await ledger.statuses(session, entry_ids)
        return [views[entry_id].status for entry_id in entry_ids]

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with snapshot(self.engine) as session:
            return list((await session.execute(text(query), values)).all())

    async def write(self, statement: str, **values: Any) -> None:
        async with transaction(self.engine) as session:
            await session.execute(text(statement), values)

    async def queued(self) -> list[str]:
        return [row[0] for row in await self.rows("select id from chain_orders where state = 'queued' order by seq")]

    async def orders(self) -> dict[str, Any]:
        return {row.id: row for row in await self.rows("select * from chain_orders order by seq")}

    async def events(self, kind: str) -> list[Any]:
        return await self.rows("select * from outbox_events where type = :kind order by seq", kind=kind)

    async def lot(self, entry_id: str) -> Any:
        (row,) = await self.rows("select * from lots where entry_id = :id", id=entry_id)
        return row

    async def seal(self, *order_ids: str) -> str:
        """Put queued orders into one batch, as the relayer does; its id."""
        batch_id = self.next_id("bat")
        values = {"batch": batch_id, "ids": list(order_ids), "first": order_ids[0]}
        async with transaction(self.engine) as session:
            await session.execute(ADD_BATCH, values)
            await session.execute(SEAL, values)
        return batch_id

    async def follow(
        self, *, mined: Sequence[str] = (), final: Sequence[str] = (), reorged: Sequence[str] = ()
    ) -> None:
        """One step of the mirror: batches, balances and head, then the ledger, in one transaction."""
        number = next(self.blocks)
        async with transaction(self.engine) as session:
            for state, batch_ids in (("submitted", reorged), ("mined", mined), ("final", final)):
                if not batch_ids:
                    continue
                await session.execute(
                    text(
                        "update chain_batches set state = :state, block_number = :number, transaction_hash = :hash"
                        " where id = any(:ids)"
                    ),
                    {"state": state, "number": number, "hash": number.to_bytes(32, "big"), "ids": list(batch_ids)},
                )
            for sign, batch_ids in ((-1, reorged), (1, mined)):
                if not batch_ids:
                    continue
                await session.execute(
                    text("""
                        insert into chain_balances (wallet, tokens)
                        select wallet, 0 from chain_orders where batch_id = any(:ids) on conflict do nothing
                    """),
                    {"ids": list(batch_ids)},
                )
                await session.execute(
                    text("""
                        update chain_balances b set tokens = b.tokens + :sign * moved.tokens from (
                            select wallet, sum(case when kind = 'issue' then tokens else -tokens end) as tokens
                            from chain_orders where batch_id = any(:ids) group by wallet
                        ) moved where moved.wallet = b.wallet
                    """),
                    {"ids": list(batch_ids), "sign": sign},
                )
            await session.execute(
                text("""
                    insert into chain_mirror (id, head_number, head_hash, head_timestamp_s, final_number,
                        node_head_number, supply)
                    select 1, :number, '', 0, 0, 0, coalesce(sum(tokens), 0) from chain_balances
                    on conflict (id) do update set head_number = excluded.head_number, supply = excluded.supply
                """),
                {"number": number},
            )
            delta = MirrorDelta(number, mined=mined, final=final, reorged=reorged)
            await ledger.settle(session, delta, self.now)

    async def mine(self, *order_ids: str) -> str:
        """Seal queued orders into one batch and see it mined; its id."""
        batch_id = await self.seal(*order_ids)
        await self.follow(mined=[batch_id])
        return batch_id

    async def reject(self, *order_ids: str, reason: str = "LoyaltyAllowance") -> None:
        """The relayer gives orders up, and the ledger undoes them, in one transaction."""
        async with transaction(self.engine) as session:
            await session.execute(
                text("update chain_orders set state = 'rejected', reason = :reason where id = any(:ids)"),
                {"ids": list(order_ids), "reason": reason},
            )
            await ledger.on_rejected(session, [Rejection(key, reason) for key in order_ids], self.now)

    async def drift(self) -> int:
        """Tokens by which the ledger differs from the chain's balances and its own lots, over all members."""
        (row,) = await self.rows("""
            select coalesce(sum(abs(a.available + a.held - coalesce(b.tokens, 0) - coalesce(o.tokens, 0))), 0)
                 + coalesce(sum(abs(a.available + a.held - coalesce(l.active, 0))), 0)
                 + coalesce(sum(abs(a.pending - coalesce(l.pending, 0))), 0) as drift
            from accounts a
            join wallets w on w.owner_kind = 'member' and w.owner_id = a.member_id
            left join chain_balances b on b.wallet = w.address
            left join (
                select o.wallet, sum(case o.kind when 'issue' then o.tokens when 'redeem' then 0 else -o.tokens end)
                    as tokens
                from chain_orders o left join chain_batches c on c.id = o.batch_id
                where o.state = 'queued' or (o.state = 'sealed' and c.state not in ('mined', 'final'))
                group by o.wallet
            ) o on o.wallet = w.address
            left join (
                select member_id, sum(case when state <> 'pending' then remaining + held else 0 end) as active,
                    sum(case when state = 'pending' then remaining else 0 end) as pending
                from lots group by member_id
            ) l on l.member_id = a.member_id
        """)
        return int(row.drift)


async def make_world(
    engine: AsyncEngine,
    *,
    member_count: int = 2,
    return_policy: Any = "clamp",
    now: datetime = START,
    seed: Seed = SEED,
) -> LedgerWorld:
    """Programme, partners and members on an empty database."""
    world = LedgerWorld(engine, now=now)
    async with transaction(engine) as session:
        draft = ProgramDraft("demo", "Démo", "Demo", "Point", "PT", return_policy=return_policy)
        await programs.create(session, draft, now)
        await wallets.init_branches(session, seed)
        for name in ("bakery", "café"):
            world.partners.append(await partners.create(session, PartnerDraft(name, name), now))
        drafts = [MemberDraft(f"M{index}", "Ada Lovelace", "ada@example.org") for index in range(member_count)]
        world.members = [member.id for member in await members.enrol(session, drafts, now)]
    return world
