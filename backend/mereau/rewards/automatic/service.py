"""Redeeming on behalf of members whose tokens reach the threshold of an automatic reward."""

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from mereau.core.db import ReadSession, WriteSession
from mereau.ledger.balances.queries import members_with
from mereau.programs import service as programs
from mereau.rewards import repository
from mereau.rewards import service as rewards
from mereau.rewards.models import Redemption, Reward
from mereau.rewards.service import Wish


def reference_of(reward_id: str, day: date) -> str:
    """The redemption of one day: it makes the reward be given once a day however often the job runs."""
    return f"automatic:{reward_id}:{day.isoformat()}"


async def programme_day(session: ReadSession | WriteSession, now: datetime) -> date:
    """The day of this instant where the programme is."""
    return now.astimezone(ZoneInfo((await programs.current(session)).time_zone)).date()


async def due_members(
    session: ReadSession | WriteSession, reward: Reward, reference: str, after_id: str, limit: int
) -> tuple[Sequence[str], str | None]:
    """Members who shall be given the reward under this reference, and from where to look on; None at the end.

    A chunk of those who have the tokens, in the order of their ids, without those who were given it.
    """
    if reward.automatic_at_tokens is None:
        return [], None
    rich = await members_with(session, reward.automatic_at_tokens, after_id=after_id, limit=limit)
    given = await repository.with_reference(session, reference, rich)
    return [member_id for member_id in rich if member_id not in given], rich[-1] if len(rich) == limit else None


async def give(session: WriteSession, reward: Reward, member_id: str, reference: str, now: datetime) -> Redemption:
    """Redeem one piece at its price for the member; refusals as of `rewards.redeem`."""
    wish = Wish(member_id, reward.id, reference, channel="automatic")
    return await rewards.redeem(session, wish, now, actor="job:automatic_rewards")
