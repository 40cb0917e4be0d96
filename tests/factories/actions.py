"""Rules for what earns without a sale, and short words for letting the jobs run."""

from datetime import UTC, datetime
from typing import Any

from api.world import ApiWorld
from mereau.earning.milestones import tasks as milestones
from mereau.earning.referrals.qualifying import tasks as referrals


async def a_rule(world: ApiWorld, trigger: str, tokens: int = 10, **changes: Any) -> dict[str, Any]:
    """An active rule that gives so many tokens of partner A's for a trigger."""
    spec = {
        "external_id": f"rule-{next(world.numbers)}",
        "trigger": trigger,
        "fixed": {"tokens": tokens},
        "issuer_partner_id": world.ids["partner_a"],
    }
    rule = await world.made("operator", "/earning-rules", spec | changes)
    return await world.made("operator", f"/earning-rules/{rule['id']}/activate", None)


async def follow(world: ApiWorld, now: datetime | None = None) -> None:
    """Let the jobs that follow events catch up."""
    at = now or datetime.now(UTC)
    await milestones.follow_events(world.engine, at)
    await referrals.follow_purchases(world.engine, at)


async def credited(world: ApiWorld, member: str = "member_a") -> list[int]:
    """The tokens of a member's bonuses, in the order in which they came."""
    rows = await world.hand.rows(
        "select tokens from entries where member_id = :id and kind = 'issue' and reason_code = 'bonus' order by seq",
        id=world.ids.get(member, member),
    )
    return [row.tokens for row in rows]


async def join(world: ApiWorld, name: str, partner: str = "partner_a", **facts: Any) -> str:
    """A new member by a name of the test's; their id."""
    member = await world.made(partner, "/members", {"external_id": f"card-{name}"} | facts)
    world.ids[name] = member["id"]
    return str(member["id"])
