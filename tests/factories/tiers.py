"""A shop whose members rise and fall, and short words for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import ONE_PER_UNIT, Shop, make_shop
from mereau.core.db import snapshot, transaction
from mereau.tiers import queries, service, tasks
from mereau.tiers.domain import Basis, Downgrade, Ladder, Qualification, TierSpec, Window
from mereau.tiers.queries import TierStanding
from mereau.tiers.service import MemberTier, Preview

NAMES = ("bronze", "silver", "gold", "platinum")


def a_ladder(*thresholds: int, **rule: Any) -> Ladder:
    """Tiers of these thresholds, by tokens earned since joining unless told otherwise."""
    fields: dict[str, Any] = {"basis": "tokens_earned", "window": "since_joining", "window_months": None} | rule
    fields |= {"basis": Basis(fields["basis"]), "window": Window(fields["window"])}
    fields["downgrade"] = Downgrade(fields.get("downgrade", "by_value"))
    tiers = (TierSpec(name, name.title(), name.title(), at) for name, at in zip(NAMES, thresholds, strict=False))
    return Ladder(Qualification(**fields), tuple(tiers))


@dataclass
class Club(Shop):
    """Sales earn one token per unit of money: `sell(a_line(1_000))` is ten."""

    async def draft(self, ladder: Ladder) -> int:
        async with transaction(self.engine) as session:
            return (await service.put_draft(session, ladder, self.now, actor="key:k")).version

    async def enforce(self, *thresholds: int, **rule: Any) -> None:
        """Put a set in force, without judging anybody yet."""
        version = await self.draft(a_ladder(*thresholds, **rule))
        async with transaction(self.engine) as session:
            await service.activate(session, version, self.now, actor="key:k")

    async def preview(self) -> Preview:
        async with snapshot(self.engine) as session:
            return await service.preview(session, self.now)

    async def follow_events(self) -> int:
        return await tasks.follow(self.engine, self.now)

    async def walk(self, chunk: int = 10_000) -> int:
        return await tasks.walk_all(self.engine, self.now, chunk=chunk)

    async def settle(self) -> None:
        """Everything that the jobs would do at this moment."""
        await self.follow_events()
        await self.walk()
        await tasks.end_graces(self.engine, self.now)

    async def assign(self, tier: str, member: int = 0, **changes: Any) -> None:
        fields: dict[str, Any] = {"reason": "apology", "ends_at": None} | changes
        async with transaction(self.engine) as session:
            await service.assign(
                session, self.members[member], tier_external_id=tier, now=self.now, actor="key:k", **fields
            )

    async def unassign(self, member: int = 0) -> None:
        async with transaction(self.engine) as session:
            await service.unassign(session, self.members[member], self.now, actor="key:k")

    async def held(self) -> dict[str, TierStanding]:
        async with snapshot(self.engine) as session:
            return await queries.tiers_of(session, self.members)

    async def tiers(self) -> list[str | None]:
        """What each member holds, by external id."""
        held = await self.held()
        return [held[member].external_id if member in held else None for member in self.members]

    async def member_tier(self, member: int = 0) -> MemberTier:
        async with snapshot(self.engine) as session:
            return await service.member_tier(session, self.members[member], self.now)

    async def moves(self, member: int = 0) -> Sequence[tuple[str | None, str | None, str, str]]:
        """(from, to, direction, cause) of a member's history, oldest first, by external id."""
        rows = await self.rows(
            "select a.external_id, b.external_id, direction, cause from tier_changes c"
            " left join tiers a on a.id = from_tier_id left join tiers b on b.id = to_tier_id"
            " where member_id = :id order by seq",
            id=self.members[member],
        )
        return [tuple(row) for row in rows]


async def make_club(engine: AsyncEngine, **changes: Any) -> Club:
    """Two members unless told otherwise; no tiers yet."""
    shop = await make_shop(engine, ONE_PER_UNIT, **changes)
    return Club(engine, shop.now, shop.partners, shop.members)
