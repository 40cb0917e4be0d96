"""`mereau chain unfreeze`: the operator's word that redemptions may go on."""

from collections.abc import Callable
from pathlib import Path

from mereau.chain import mirror_store
from mereau.cli.output import say
from mereau.cli.session import Desk, work
from mereau.core.db import snapshot, transaction
from mereau.journal import service as journal


def run_unfreeze(data_dir: Path | None, *, rewind_to: int | None, confirm: Callable[[str], bool]) -> bool:
    """Let a frozen mirror go on, once `confirm` has said yes to its reason; false where it said no.

    With `rewind_to`, blocks above that number count as not final again: the mirror follows the node's chain.
    Without it, the stored chain stands: the node was wrong. The act and its reason are journalled.
    """

    async def unfreeze(desk: Desk) -> bool:
        async with snapshot(desk.engine) as session:
            state = await mirror_store.load(session)
        if state is None or state.frozen_reason is None:
            say("the mirror is not frozen")
            return True
        say(f"frozen at block {state.head_number}, final {state.final_number}: {state.frozen_reason}")
        if not confirm(_question(rewind_to)):
            return False
        async with transaction(desk.engine, "unfreeze") as session:
            await mirror_store.unfreeze(session, rewind_to=rewind_to)
            await journal.record(
                session,
                at=desk.clock.now(),
                actor="operator",
                action="mirror.unfrozen",
                subject_id="mirror",
                detail={"reason": state.frozen_reason, "rewind_to": rewind_to, "final_number": state.final_number},
            )
        say("the mirror goes on")
        return True

    return work(data_dir, unfreeze)


def _question(rewind_to: int | None) -> str:
    if rewind_to is None:
        return "Keep the stored chain and let redemptions go on?"
    return f"Give up what was final above block {rewind_to}, follow the node's chain and let redemptions go on?"
