"""Clients of the ledger who know what they asked for, and ask again under the same id until they were heard."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import psycopg
from sqlalchemy.exc import DBAPIError

from mereau.core.db import WriteSession, transaction
from mereau.core.errors import MereauError
from mereau.ledger import service as ledger
from mereau.ledger.service import Credit, Reversal
from simulation.arena import Arena

Kind = Literal["credit", "reversal", "hold"]
ACTIVATION_S = 9


@dataclass(frozen=True)
class Operation:
    """One thing that a client wants, under an id of its own."""

    id: str
    kind: Kind
    member: int
    partner: int
    tokens: int
    credit_id: str = ""
    delay_s: int = 0


class Refused(Exception):  # noqa: N818 - an answer of the ledger, not a fault
    """The ledger will not do it; nothing was written."""


@dataclass
class Clients:
    """`accepted` are the operations of which a client has the ledger's word; `unsure` those it must ask about again."""

    arena: Arena
    chance: random.Random
    accepted: dict[str, Operation] = field(default_factory=dict)
    unsure: dict[str, Operation] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    perhaps_withdrawn: set[str] = field(default_factory=set)
    made: int = 0

    def wish(self) -> Operation:
        """Something new: mostly credits; returns of what was credited at once; redemptions."""
        self.made += 1
        entry_id, chance = f"ent_{self.made:04}", self.chance
        member, partner = chance.randrange(len(self.arena.wallets)), chance.randrange(len(self.arena.world.partners))
        kind = chance.choices(("credit", "reversal", "hold"), (5, 2, 3))[0]
        credits_ = [one for one in self.accepted.values() if one.kind == "credit" and not one.delay_s]
        if kind == "reversal" and credits_:
            origin = chance.choice(credits_)
            tokens = chance.randint(1, origin.tokens)
            return Operation(entry_id, "reversal", origin.member, origin.partner, tokens, origin.id)
        if kind == "hold":
            return Operation(entry_id, "hold", member, partner, chance.randint(1, 30))
        delay_s = ACTIVATION_S if chance.random() < 0.2 else 0
        return Operation(entry_id, "credit", member, partner, chance.randint(1, 60), delay_s=delay_s)

    async def ask(self, operations: Sequence[Operation], now: datetime) -> str:
        """All of them in one transaction, each unless it is there already."""
        try:
            async with transaction(self.arena.engine, "accept") as session:
                there = await ledger.statuses(session, [one.id for one in operations])
                new = [one for one in operations if one.id not in there]
                await self._post(session, new, now)
        except (Refused, MereauError):
            # Refused is refused: whatever an earlier attempt left unknown, this one saw nothing of it.
            self._settle(operations)
            return "refused"
        except psycopg.errors.UniqueViolation:
            self._settle(operations, accepted=True)
            return "there already"
        except (DBAPIError, psycopg.Error) as error:
            self.unsure |= {one.id: one for one in operations}
            return type(error).__name__
        except BaseException:
            self.unsure |= {one.id: one for one in operations}
            raise
        self._settle(operations, accepted=True)
        return "accepted" if new else "repeated"

    async def ask_at_once(self, operation: Operation, now: datetime) -> str:
        """The same operation twice, side by side: once it counts at most."""
        outcomes = await asyncio.gather(self.ask([operation], now), self.ask([operation], now))
        return f"{operation.id} {' and '.join(sorted(outcomes))}"

    async def withdraw(self, now: datetime) -> str:
        """Give up a redemption, if the burn is not on its way."""
        holds = sorted(one.id for one in self.accepted.values() if one.kind == "hold" and one.id not in self.withdrawn)
        if not holds:
            return "none"
        entry_id = self.chance.choice(holds)
        try:
            async with transaction(self.arena.engine, "accept") as session:
                await ledger.void_hold(session, entry_id, "withdrawn", now)
        except MereauError:
            return "too late"
        except BaseException as error:
            self.perhaps_withdrawn.add(entry_id)
            if isinstance(error, DBAPIError | psycopg.Error):
                return type(error).__name__
            raise
        self.withdrawn.add(entry_id)
        return entry_id

    def _settle(self, operations: Sequence[Operation], *, accepted: bool = False) -> None:
        for one in operations:
            self.unsure.pop(one.id, None)
            if accepted:
                self.accepted[one.id] = one

    async def _post(self, session: WriteSession, new: Sequence[Operation], now: datetime) -> None:
        await ledger.credit(session, [self._credit(one, now) for one in new if one.kind == "credit"], now)
        for one in new:
            if one.kind == "reversal":
                (outcome,) = await ledger.reverse(session, [self._reversal(one, now)], now)
                if outcome.reversed_tokens != one.tokens:
                    raise Refused
            elif one.kind == "hold":
                await self._hold(session, one, now)

    def _credit(self, one: Operation, now: datetime) -> Credit:
        world = self.arena.world
        return Credit(
            entry_id=one.id,
            member_id=world.members[one.member],
            partner_id=world.partners[one.partner].id,
            staff_id=None,
            tokens=one.tokens,
            source_id=f"sal_{one.id}",
            source_reference="receipt",
            rule="base:1",
            reason_code="sale",
            occurred_at=now,
            activates_at=now + timedelta(seconds=one.delay_s),
            expires_at=None,
        )

    def _reversal(self, one: Operation, now: datetime) -> Reversal:
        return Reversal(
            entry_id=one.id,
            credit_entry_id=one.credit_id,
            tokens=one.tokens,
            partner_id=self.arena.world.partners[one.partner].id,
            staff_id=None,
            source_id=f"ret_{one.id}",
            source_reference="return",
            reason_code="return",
            occurred_at=now,
        )

    async def _hold(self, session: WriteSession, one: Operation, now: datetime) -> None:
        world = self.arena.world
        await ledger.hold(
            session,
            entry_id=one.id,
            member_id=world.members[one.member],
            partner_id=world.partners[one.partner].id,
            tokens=one.tokens,
            source_id=f"red_{one.id}",
            source_reference="coffee",
            occurred_at=now,
            now=now,
        )
