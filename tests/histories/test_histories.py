"""Random histories over everything that moves tokens, checked after every act.

`MEREAU_HISTORIES` plays as many more as are wanted, `MEREAU_HISTORY_SEED` names the first.
"""

import os
import random
from collections import Counter as Tally

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import make_world
from histories import laws
from histories.bazaar import ACTS, Bazaar, History, begin, end, open_bazaar
from histories.chain_hand import ChainHand
from mereau.ledger.replay.service import find_differences

HISTORIES = int(os.environ.get("MEREAU_HISTORIES", "24"))
FIRST_SEED = int(os.environ.get("MEREAU_HISTORY_SEED", "1"))
STEPS = 30
RETIRE = "update lots set expires_at = null where expires_at is not null and remaining > 0"
"""Lots of earlier histories never expire: the jobs of each would walk past all of them, for nothing."""
_CHUNK = 12

OFTEN = ("sell",) * 5 + ("bring_back",) * 5 + ("redeem",) * 5 + ("cancel", "refund", "refund", "use", "event", "event")
SELDOM = (
    "change_rule", "change_rule", "wait", "wait", "activate_early", "activate_early", "expire", "expire", "extend",
    "adjust", "adjust", "follow", "listen", "listen", "walk", "assign",
)  # fmt: skip
CHAIN = ("seal", "seal", "seal", "mine", "mine", "mine", "finish", "reorganise", "reorganise", "reject")
GRANT = ("grant", "grant", "grant and undo", "grant and use")
STORM = ("storm", "storm")


async def play(bazaar: Bazaar, seed: int) -> Tally[str]:
    """One history to its calm end; what was done in it."""
    chance = random.Random(f"{seed} steps")
    hand = ChainHand(bazaar, chance)
    history = await begin(bazaar, seed, hand.expirable, policy=chance.choice(["clamp", "debt"]))
    await history.act("sell")
    await history.act("sell")
    await hand.calm()
    for _ in range(STEPS):
        await step(history, hand, chance.choice(OFTEN + SELDOM + CHAIN + GRANT + STORM))
        await laws.check(history)
    await calm_down(history, hand)
    await end(history)
    await bazaar.write(RETIRE)
    return history.done


async def step(history: History, hand: ChainHand, name: str) -> None:
    if name in ACTS:
        await history.act(name)
    elif name == "storm":
        await history.storm()
    elif name in GRANT:
        await hand.calm()
        await history.act("listen")
        history.tell(name, "everything is final")
        if follows := {"grant and undo": "refund", "grant and use": "use"}.get(name):
            await history.act(follows)
    else:
        history.tell(name, await getattr(hand, name)())


async def calm_down(history: History, hand: ChainHand) -> None:
    """What waits is mined and heard of: nothing is held, tiers follow, and the entries alone give the same lots."""
    await hand.calm()
    await history.act("listen")
    await history.act("walk")
    await laws.check(history)
    await laws.check_tiers(history)
    rows = await history.bazaar.rows(laws.FIGURES, ids=history.bazaar.members)
    open_ = [row._asdict() for row in rows if row.held or row.on_chain != row.available]
    assert not open_, "\n".join([*map(str, open_), *history.story])
    assert [str(found) async for found in find_differences(history.bazaar.engine)] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + HISTORIES, _CHUNK))
async def test_whatever_happens_in_whatever_order_no_token_is_made_or_lost(engine: AsyncEngine, first: int) -> None:
    bazaar = await open_bazaar(await make_world(engine, member_count=0))
    done: Tally[str] = Tally()
    for seed in range(first, min(first + _CHUNK, FIRST_SEED + HISTORIES)):
        done += await play(bazaar, seed)
    # A history in which nothing happens breaks no law: each thing is done, however the dice fall.
    assert {name for name in {*OFTEN, *SELDOM, *CHAIN, *GRANT, *STORM} if not done[name]} == set()
