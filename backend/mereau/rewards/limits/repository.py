"""SQL of the counters behind limits. Taken after the account and the reward, in the order of their keys."""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import func, select, text

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.limits.domain import Count
from mereau.rewards.models import RewardCounter

Key = tuple[str, str, str]

# Check and count in one statement: of two who want the last piece of a limit, the second finds no row.
_TAKE: Final = text("""
    insert into reward_counters (reward_id, owner_id, period, starts_on, pieces)
    select :reward_id, owner_id, period, starts_on, :quantity
    from unnest(
        cast(:owners as text[]), cast(:periods as text[]), cast(:starts as text[]), cast(:maxima as bigint[])
    ) as wanted (owner_id, period, starts_on, pieces_max)
    where :quantity <= pieces_max
    order by owner_id, period, starts_on
    on conflict (reward_id, owner_id, period, starts_on)
    do update set pieces = reward_counters.pieces + excluded.pieces
    returning owner_id, period, starts_on, pieces
""")

_GIVE_BACK: Final = text("""
    update reward_counters set pieces = reward_counters.pieces - back.pieces
    from (
        select reward_id, owner_id, period, starts_on, sum(pieces) as pieces
        from unnest(
            cast(:rewards as text[]), cast(:owners as text[]), cast(:periods as text[]), cast(:starts as text[]),
            cast(:pieces as bigint[])
        ) as one (reward_id, owner_id, period, starts_on, pieces)
        group by reward_id, owner_id, period, starts_on
    ) as back
    where reward_counters.reward_id = back.reward_id and reward_counters.owner_id = back.owner_id
      and reward_counters.period = back.period and reward_counters.starts_on = back.starts_on
""")


async def take(session: WriteSession, reward_id: str, counts: Sequence[Count], quantity: int) -> list[Count]:
    """Move the counters by `quantity`; those that would pass their limit, and then the caller rolls back.

    Locks the counters until the transaction ends, so the next one sees what this one took.
    """
    if not counts:
        return []
    rows = await session.execute(
        _TAKE,
        {
            "reward_id": reward_id,
            "quantity": quantity,
            "owners": [count.owner_id for count in counts],
            "periods": [count.period for count in counts],
            "starts": [count.starts_on for count in counts],
            "maxima": [count.pieces_max for count in counts],
        },
    )
    pieces = {(row.owner_id, row.period, row.starts_on): row.pieces for row in rows}
    return [count for count in counts if pieces.get(count.key, count.pieces_max + 1) > count.pieces_max]


async def give_back(session: WriteSession, taken: Iterable[tuple[str, Key, int]]) -> None:
    """Take pieces off the counters again, by reward and key."""
    rows = list(taken)
    if rows:
        await session.execute(
            _GIVE_BACK,
            {
                "rewards": [reward_id for reward_id, _, _ in rows],
                "owners": [key[0] for _, key, _ in rows],
                "periods": [key[1] for _, key, _ in rows],
                "starts": [key[2] for _, key, _ in rows],
                "pieces": [pieces for _, _, pieces in rows],
            },
        )


async def taken(
    session: ReadSession | WriteSession, reward_ids: Sequence[str], member_id: str
) -> dict[str, dict[Key, int]]:
    """Reward id -> pieces taken by key, of the counters that this member and everybody move."""
    rows = await session.execute(
        select(
            RewardCounter.reward_id,
            RewardCounter.owner_id,
            RewardCounter.period,
            RewardCounter.starts_on,
            RewardCounter.pieces,
        ).where(RewardCounter.reward_id == func.any(list(reward_ids)), RewardCounter.owner_id.in_((member_id, "")))
    )
    found: dict[str, dict[Key, int]] = {}
    for reward_id, *key, pieces in rows:
        found.setdefault(reward_id, {})[key[0], key[1], key[2]] = pieces
    return found
