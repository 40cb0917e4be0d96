"""A hand that does to the orders of a history what a chain and its relayer might do, in every order."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from factories.ledger import LedgerWorld

QUEUED = """
    select o.id, o.kind, o.tokens, o.wallet, o.partner_number, coalesce(b.tokens, 0) as on_chain,
        coalesce((
            select sum(s.tokens) from chain_orders s join chain_batches c on c.id = s.batch_id
            where s.wallet = o.wallet and s.kind <> 'issue' and s.state = 'sealed' and c.state not in ('mined', 'final')
        ), 0) as sealed_debits
    from chain_orders o left join chain_balances b on b.wallet = o.wallet
    where o.state = 'queued' order by o.seq
"""


def executable(orders: Sequence[Any]) -> list[str]:
    """Those of one line's orders that the chain can execute, one after the other."""
    left = {row.wallet: row.on_chain - row.sealed_debits for row in orders}
    chosen = []
    for row in orders:
        if row.kind != "issue" and row.tokens > left[row.wallet]:
            continue
        left[row.wallet] -= row.tokens if row.kind != "issue" else 0
        chosen.append(row.id)
    return chosen


@dataclass
class ChainHand:
    """Batches by how far they are; the newest of `mined` is the one that may leave the chain again."""

    world: LedgerWorld
    chance: random.Random
    credits_sealed: list[str] = field(default_factory=list)
    debits_sealed: list[str] = field(default_factory=list)
    mined: list[str] = field(default_factory=list)

    async def seal(self) -> str | None:
        """Seal queued orders of one kind and partner; a burn only if the chain can execute it beside those sealed."""
        queued = await self.world.rows(QUEUED)
        lines = sorted({(row.kind, row.partner_number or 0) for row in queued})
        self.chance.shuffle(lines)
        for line in lines:
            if chosen := executable([row for row in queued if (row.kind, row.partner_number or 0) == line]):
                batch = await self.world.seal(*chosen)
                (self.credits_sealed if line[0] == "issue" else self.debits_sealed).append(batch)
                return f"{len(chosen)} {line[0]}"
        return None

    async def mine(self) -> str | None:
        """Mine a batch: credits first, for burns were sealed because the chain had them."""
        if not (self.credits_sealed or self.debits_sealed or await self.seal()):
            return None
        sealed = self.credits_sealed or self.debits_sealed
        batch = sealed.pop(self.chance.randrange(len(sealed)))
        await self.world.follow(mined=[batch])
        self.mined.append(batch)
        return batch

    async def finish(self) -> str | None:
        """The oldest mined batch is final."""
        if not (self.mined or await self.mine()):
            return None
        batch = self.mined.pop(0)
        await self.world.follow(final=[batch])
        return batch

    async def reorganise(self) -> str | None:
        """The newest batch leaves the chain, or leaves and comes back in one step."""
        if not (self.mined or await self.mine()):
            return None
        batch = self.mined[-1]
        again = self.chance.random() < 0.5
        await self.world.follow(reorged=[batch], mined=[batch] if again else [])
        if not again:
            self.mined.pop()
            (row,) = await self.world.rows("select kind from chain_batches where id = :id", id=batch)
            (self.credits_sealed if row.kind == "issue" else self.debits_sealed).append(batch)
        return batch

    async def reject(self) -> str | None:
        """The chain will not have a queued burn, or a credit on which no signed burn relies."""
        queued = [
            row
            for row in await self.world.rows(QUEUED)
            if row.kind == "redeem" or (row.kind == "issue" and row.sealed_debits <= row.on_chain)
        ]
        if not queued:
            return None
        row = self.chance.choice(queued)
        await self.world.reject(row.id)
        return str(row.kind)

    async def calm(self) -> None:
        """Everything that waits is executed, and final."""
        while await self.mine():
            pass
        while await self.finish():
            pass

    async def expirable(self, wallets: Sequence[bytes]) -> Mapping[bytes, int]:
        """What the contract would let go: all that is there, or half of it while it protects the rest."""
        rows = await self.world.rows("select wallet, tokens from chain_balances where wallet = any(:ids)", ids=wallets)
        share = self.chance.choice([1, 1, 2])
        return dict.fromkeys(wallets, 0) | {bytes(row.wallet): row.tokens // share for row in rows}
