"""Random histories: told honestly they hold; with any one thing changed that has a meaning, they do not."""

import copy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fixtures.onchain import canonical
from verify.history import NOBODY, TOPICS, WALLETS, Line, Log, Story, flipped, judge, stories, tell

HONEST_EXAMPLES = 1000
CHANGED_EXAMPLES = 120

NAMES = {topic: name for name, topic in TOPICS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples; each overwrites it."""
    return tmp_path_factory.mktemp("histories")


@given(stories)
@settings(max_examples=HONEST_EXAMPLES)
def test_an_honest_history_has_no_finding(folder: Path, story: Story) -> None:
    report = judge(folder, story.logs, story.trail(), story.told_totals())
    assert report.findings == []


def meaning_of_lines(lines: list[Line]) -> Counter[str]:
    """What lines claim, whatever their order: batches with their operations, and balances.

    Three things claim nothing: a voided batch, a wallet without tokens, and the id of an erased redemption, which
    nothing on chain names.
    """
    claims: list[list[Line]] = []
    for line in lines:
        if line.get("type") == "operation" and claims and claims[-1][0].get("type") != "balance":
            erased = claims[-1][0].get("kind") == "redeem" and line["record"] is None
            claims[-1].append(line | {"id": ""} if erased else line)
        else:
            claims.append([line])
    return Counter(canonical(claim) for claim in claims if not claims_nothing(claim))


def claims_nothing(claim: list[Line]) -> bool:
    head = claim[0]
    if head.get("type") == "balance":
        return not any(head[name] for name in ("tokens", "available", "held", "lots", "open"))
    return len(claim) == 1 and head.get("operations") == 0 and head["root"] == "0x" + "00" * 32


def meaning_of_logs(logs: list[Log]) -> tuple[Counter[str], dict[bytes, int]]:
    """What logs say: orders with their mints or burns in order, and who has what in the end.

    Nonces are of no meaning to the trail, nor is a voided sequence, nor the order between transactions.
    """
    balances: Counter[bytes] = Counter()
    transactions: dict[str, list[Log]] = {}
    for log in logs:
        transactions.setdefault(log["transactionHash"], []).append(log)
    orders: list[tuple[list[str], str]] = []
    for group in transactions.values():
        waiting: list[str] = []
        for log in group:
            name, topics = NAMES.get(log["topics"][0]), [bytes.fromhex(topic[2:])[-20:] for topic in log["topics"]]
            data = log["data"]
            if name == "transfer":
                balances[topics[1]] -= int(data, 16)
                balances[topics[2]] += int(data, 16)
                waiting += [str((topics, data))] * (NOBODY in topics[1:])
            elif name is not None:
                told = data[:66] + data[130:] if name == "redeem" else data
                void = name != "redeem" and not waiting and not int(data, 16)
                orders += [] if void else [(waiting, str((name, topics, told, log["blockNumber"])))]
                waiting = []
        orders += [(waiting, "")] if waiting else []
    return Counter(map(str, orders)), {wallet: tokens for wallet, tokens in balances.items() if tokens}


def altered(value: Any, place: int) -> Any:
    """Another value, of the same kind where there is one."""
    if isinstance(value, dict):
        name = sorted(value)[place % len(value)]
        return value | {name: altered(value[name], place)}
    if isinstance(value, int):
        return value + 1 + place % 3
    if isinstance(value, str) and value.startswith("0x"):
        return flipped(value, place)
    return 1 if value is None else f"{value}x"


def alter_line(lines: list[Line], first: int, place: int) -> None:
    line = lines[first]
    name = sorted(line)[place % len(line)]
    line[name] = altered(line[name], place // len(line))


def alter_log(logs: list[Log], first: int, place: int) -> None:
    log = logs[first]
    name = ("topics", "data", "blockNumber", "transactionHash")[place % 4]
    if name == "topics":
        topic = place // 4 % len(log["topics"])
        # An address ends a word; the digits before it are padding that no contract can set.
        start = 24 if topic else 0
        log["topics"][topic] = flipped(log["topics"][topic], start + place % (64 - start))
    else:
        log[name] = flipped(log[name], place)


def drop(items: list[dict[str, Any]], first: int, _: int) -> None:
    del items[first]


def duplicate(items: list[dict[str, Any]], first: int, second: int) -> None:
    items.insert(second % (len(items) + 1), copy.deepcopy(items[first]))


def swap(items: list[dict[str, Any]], first: int, second: int) -> None:
    second %= len(items)
    items[first], items[second] = items[second], items[first]


Change = Callable[[list[dict[str, Any]], int, int], None]
CHANGES: list[Change] = [drop, duplicate, swap]


@pytest.mark.parametrize("change", [*CHANGES, alter_line], ids=lambda change: change.__name__)
@given(stories, st.integers(0, 500), st.integers(0, 5000))
@settings(max_examples=CHANGED_EXAMPLES)
def test_one_changed_line_is_found(folder: Path, change: Change, story: Story, first: int, second: int) -> None:
    lines = story.trail()
    changed = copy.deepcopy(lines)
    change(changed, first % len(changed), second)
    assume(meaning_of_lines(changed) != meaning_of_lines(lines))
    assert not judge(folder, story.logs, changed, story.told_totals()).ok


@pytest.mark.parametrize("change", [*CHANGES, alter_log], ids=lambda change: change.__name__)
@given(stories, st.integers(0, 500), st.integers(0, 5000))
@settings(max_examples=CHANGED_EXAMPLES)
def test_one_changed_log_is_found(folder: Path, change: Change, story: Story, first: int, second: int) -> None:
    changed = copy.deepcopy(story.logs)
    change(changed, first % len(changed), second)
    assume(meaning_of_logs(changed) != meaning_of_logs(story.logs))
    assert not judge(folder, changed, story.trail(), story.told_totals()).ok


@given(stories, st.sampled_from(["issued", "reversed", "redeemed", "expired", "supply"]), st.integers(-5, 5))
def test_one_changed_total_is_found(folder: Path, story: Story, name: str, more: int) -> None:
    totals = story.told_totals()
    totals[name] += more
    report = judge(folder, story.logs, story.trail(), totals)
    assert [(finding.rule, finding.place) for finding in report.findings] == (
        [("supply", f"manifest, {name}")] if more else []
    )


VOID_LAST = tell([("issue", 2, [])])
UNTOLD = tell([("issue", 5, []), ("move", 0, [(WALLETS[0], 9), (WALLETS[3], 1)])])


@given(stories)
@example(VOID_LAST)
@example(UNTOLD)
@settings(max_examples=60)
def test_what_claims_nothing_may_be_left_out(folder: Path, story: Story) -> None:
    """The stated exceptions hold: voids and empty wallets need no line, and batches stand in any order."""
    lines = [line for line in story.trail() if not claims_nothing([line])]
    assert meaning_of_lines(lines) == meaning_of_lines(story.trail())
    assert judge(folder, story.logs, lines, story.told_totals()).ok


def test_all_kinds_of_orders_in_one_transaction(folder: Path) -> None:
    """What Multicall makes of them; bit 0 of a step keeps the transaction open."""
    whole = [(wallet, 10) for wallet in WALLETS[:3]]
    story = tell([(kind, 1, whole) for kind in ("issue", "move", "redeem", "reverse", "redeem", "expire", "issue")])
    assert len({log["transactionHash"] for log in story.logs}) == 1
    assert {NAMES[log["topics"][0]] for log in story.logs} == set(NAMES.values())
    assert judge(folder, story.logs, story.trail(), story.told_totals()).findings == []
