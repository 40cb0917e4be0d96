"""What people do by hand passes the export, the independent verifier, the replay and the reconciliation."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from factories.adjustments import Counter
from factories.settled import SettledWorld
from ledger.trail.test_export import export, judge, lines
from mereau.core.db import transaction
from mereau.ledger.extensions import service as extensions
from mereau.ledger.replay.service import find_differences

DAY = timedelta(days=1)


@pytest.fixture
async def counter(world: SettledWorld) -> Counter:
    """Credits and debits by hand, one of them by two people, an extension; all that goes on chain is final."""
    counter, book = Counter(world.ledger), world.ledger
    await counter.limits()
    await counter.adjust(25, reason_code="visit_without_sale", note="Camille came in for the tasting.")
    await counter.approve(await counter.adjust(2_000, member=1, note="Moved in with 2,000 points."))
    await world.settle()
    await counter.take(30)
    async with transaction(book.engine) as session:
        until = book.now + 900 * DAY
        await extensions.extend(session, book.members[1], until, "closure", book.now, actor="key_ops")
    await world.settle()
    return counter


async def test_the_verifier_finds_nothing_to_say(world: SettledWorld, counter: Counter, folder: Path) -> None:
    await export(world, folder)
    report = await judge(world, folder)
    assert report.findings == []
    figures = report.figures
    assert (figures["issued"], figures["reversed"], figures["supply"]) == (2_595, 150, 2_415)
    assert [difference async for difference in find_differences(world.ledger.engine)] == []
    assert await world.ledger.drift() == 0


async def test_the_trail_says_why_and_not_in_which_words(world: SettledWorld, counter: Counter, folder: Path) -> None:
    await export(world, folder)
    records = [line["record"] for line in lines(folder) if line["type"] == "operation"]
    told = {(record["kind"], record["reason"]) for record in records if isinstance(record, dict)}
    assert {("issue", "visit_without_sale"), ("issue", "goodwill"), ("reverse", "correction")} <= told
    assert "extend" not in {kind for kind, _ in told}
    public = (folder / "trail.jsonl").read_text()
    for word in ("Camille", "tasting", "2,000 points", "adj_", "stf_lou"):
        assert word not in public


@pytest.mark.parametrize(
    "change",
    [
        "update entries set reason_code = 'sale' where reason_code = 'visit_without_sale'",
        "update entries set source_reference = source_reference || '0' where source_id like 'adj_%'",
        "delete from lot_extensions",
    ],
)
async def test_what_was_written_down_cannot_be_rewritten(
    world: SettledWorld, counter: Counter, folder: Path, change: str
) -> None:
    """Another reason, another note, or an extension that hides when its tokens were to expire."""
    async with transaction(world.ledger.engine) as session:
        await session.execute(text(change))
    await export(world, folder)
    report = await judge(world, folder)
    assert {finding.rule for finding in report.findings} == {"record"}, json.dumps([str(f) for f in report.findings])
