"""The verifier against nodes that lie, break or refuse; the trail is honest throughout."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fixtures.onchain import World
from mereau_verify import chain
from mereau_verify.evm import header_hash
from mereau_verify.rpc import Node, NodeError, NodeRefusalError
from verify.history import flipped
from verify.replay import Lie, Lines, Raw, Refusal, Replay, rules, verified

Result = Any


def on(method: str, change: Callable[[Result], Result]) -> Lie:
    """A lie about every answer of one method."""
    return lambda asked, _, result: change(result) if asked == method else result


def test_the_recording_holds(honest: Path, replay: Replay) -> None:
    report = verified(honest, replay.url)
    assert (report.findings, report.figures["wallets"]) == ([], 5)


def with_field(name: str, value: str) -> Lie:
    return on("eth_getBlockByNumber", lambda header: header | {name: value})


def last_log(change: Callable[[dict[str, Any]], None]) -> Lie:
    def lie(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        change(logs[-1])
        return logs

    return on("eth_getLogs", lie)


def proofs(change: Callable[[dict[str, Any]], object]) -> Lie:
    def lie(answer: dict[str, Any]) -> dict[str, Any]:
        change(answer)
        return answer

    return on("eth_getProof", lie)


def swap_slots(answer: dict[str, Any]) -> None:
    slots = answer["storageProof"]
    slots[0]["proof"], slots[1]["proof"] = slots[1]["proof"], slots[0]["proof"]


def cut(answer: dict[str, Any]) -> None:
    answer["storageProof"][1]["proof"].pop()


def alter_node(answer: dict[str, Any]) -> None:
    nodes = answer["storageProof"][1]["proof"]
    nodes[-1] = flipped(nodes[-1], -1)


HONEST_LOGS: Lie = on("eth_getLogs", lambda logs: logs[::-1])
LIES: list[tuple[str, Lie, str]] = [
    ("chain id", on("eth_chainId", lambda _: "0x1"), "identity"),
    ("no block", on("eth_getBlockByNumber", lambda _: None), "identity"),
    ("a block as text", on("eth_getBlockByNumber", lambda _: "0x12"), "identity"),
    *[
        (f"header {name}", with_field(name, value), "identity")
        for name, value in {
            "parentHash": "0x" + "11" * 32, "stateRoot": "0x" + "22" * 32, "receiptsRoot": "0x" + "33" * 32,
            "gasUsed": "0x77", "timestamp": "0x1", "hash": "0x" + "44" * 32, "extraData": "0x55", "number": "0x9999",
            "logsBloom": "0x" + "00" * 255 + "01",
        }.items()
    ],
    ("a header cut short", on("eth_getBlockByNumber", lambda header: header | {"baseFeePerGas": None}), "identity"),
    ("no code", on("eth_getCode", lambda _: "0x"), "bytecode"),
    ("other code", on("eth_getCode", lambda code: flipped(code, 20)), "bytecode"),
    ("code with a tail", on("eth_getCode", lambda code: code + "00"), "bytecode"),
    ("code cut", on("eth_getCode", lambda code: code[:-2]), "bytecode"),
    ("no logs", on("eth_getLogs", lambda _: []), "completeness"),
    ("a log left out", on("eth_getLogs", lambda logs: logs[:-1]), "completeness"),
    ("a first log left out", on("eth_getLogs", lambda logs: [log for log in logs if len(log["topics"]) != 3][1:]),
     "transfer"),
    ("a log twice", on("eth_getLogs", lambda logs: [*logs, logs[-1]]), "sequence"),
    ("another sum", last_log(lambda log: log.update(data=flipped(log["data"], -1))), "supply"),
    ("another root", last_log(lambda log: log.update(data=flipped(log["data"], 3))), "root"),
    ("another sequence", last_log(lambda log: log["topics"].append(flipped(log["topics"].pop(), -1))), "completeness"),
    ("another transaction", last_log(lambda log: log.update(transactionHash="0x" + "99" * 32)), "transfer"),
    ("another block", last_log(lambda log: log.update(blockNumber=hex(int(log["blockNumber"], 16) - 1))), "transfer"),
    ("no account", proofs(lambda answer: answer.update(accountProof=[])), "proof"),
    ("account cut", proofs(lambda answer: answer["accountProof"].pop()), "proof"),
    ("account null", proofs(lambda answer: answer.update(accountProof=None)), "proof"),
    ("account of nulls", proofs(lambda answer: answer.update(accountProof=[None])), "proof"),
    ("account of no hex", proofs(lambda answer: answer.update(accountProof=["proof"])), "proof"),
    ("no slots", proofs(lambda answer: answer.update(storageProof=[])), "proof"),
    ("slots missing", proofs(lambda answer: answer.pop("storageProof")), "proof"),
    ("one slot too few", proofs(lambda answer: answer["storageProof"].pop()), "proof"),
    ("slots swapped", proofs(swap_slots), "proof"),
    ("slot cut", proofs(cut), "proof"),
    ("slot altered", proofs(alter_node), "proof"),
    ("slot without proof", proofs(lambda answer: answer["storageProof"][0].pop("proof")), "proof"),
    ("slot empty", proofs(lambda answer: answer["storageProof"][0].update(proof=[])), "proof"),
]  # fmt: skip


@pytest.mark.parametrize(("lie", "rule"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_a_lie_is_named(lie: Lie, rule: str, honest: Path, replay: Replay) -> None:
    with replay.lying(lie) as url:
        assert rule in rules(verified(honest, url))


def reverse_all(_: str, params: list[Any], result: Result) -> Result:
    return result[::-1] if isinstance(result, list) else result


ASIDES: list[Lie] = [
    reverse_all,
    proofs(lambda answer: answer["accountProof"].reverse()),
    proofs(lambda answer: answer["storageProof"][0]["proof"].reverse()),
    proofs(lambda answer: answer["accountProof"].append("0x" + "00" * 40)),
    proofs(lambda answer: answer.update(balance="0x99", storageHash="0x" + "00" * 32, codeHash="0x" + "00" * 32)),
    proofs(lambda answer: [slot.update(value="0x1", key="0x0") for slot in answer["storageProof"]]),
    on("eth_getBlockByNumber", lambda header: header | {"totalDifficulty": "0x77", "size": "0x1", "uncles": []}),
]


@pytest.mark.parametrize("lie", ASIDES)
def test_what_is_not_believed_changes_nothing(lie: Lie, honest: Path, replay: Replay) -> None:
    """Logs out of order are sorted; values beside a proof, and fields beside a header, are not even read."""
    with replay.lying(lie) as url:
        assert verified(honest, url).findings == []


def test_a_fabricated_state_is_not_believed(honest: Path, replay: Replay) -> None:
    """Asked again for the head, the node tells a header that hashes to its own hash, over a state of its own."""
    asked: list[str] = []

    def lie(method: str, params: list[Any], result: Result) -> Result:
        if method == "eth_getBlockByNumber":
            asked.append(params[0])
            if asked.count(params[0]) > 1:
                forged = result | {"stateRoot": "0x" + "66" * 32}
                return forged | {"hash": "0x" + header_hash(forged).hex()}
        return result

    with replay.lying(lie) as url:
        assert verified(honest, url).ok
    assert len(asked) == len(set(asked))


def test_a_self_consistent_head_is_not_the_manifests(honest: Path, replay: Replay) -> None:
    def forge(header: dict[str, Any]) -> dict[str, Any]:
        forged = header | {"stateRoot": "0x" + "66" * 32}
        return forged | {"hash": "0x" + header_hash(forged).hex()}

    with replay.lying(on("eth_getBlockByNumber", forge)) as url:
        assert rules(verified(honest, url)) == {"identity"}


def test_another_blocks_header_is_not_the_one_asked_for(honest: Path, replay: Replay) -> None:
    """True in itself, and still no answer."""
    genesis = replay.answer({"id": 1, "method": "eth_getBlockByNumber", "params": ["0x0", False]})
    header = json.loads(genesis.body)["result"]
    with replay.lying(on("eth_getBlockByNumber", lambda _: header)) as url:
        findings = verified(honest, url).findings
    assert [(finding.place, finding.found) for finding in findings] == [
        ("deployment block", "another header"), ("head", "another header"),
    ]  # fmt: skip


def test_code_must_be_what_the_state_holds(honest: Path, replay: Replay) -> None:
    """A node shows Mereau's code with another immutable: the build matches, the proven hash does not."""
    start = next(iter(chain.artifact()["immutableReferences"].values()))[0]["start"]
    with replay.lying(on("eth_getCode", lambda code: flipped(code, 2 * start))) as url:
        findings = verified(honest, url).findings
    assert [(finding.rule, finding.place.split(",")[-1]) for finding in findings] == [("bytecode", " proven")]


NONSENSE: list[Lie] = [
    on("eth_chainId", lambda _: None), on("eth_chainId", lambda _: "0x"), on("eth_chainId", lambda _: [1]),
    on("eth_getBlockByNumber", lambda header: {**header, "gasUsed": 7}), with_field("stateRoot", "none"),
    with_field("gasLimit", "-0x1"), on("eth_getCode", lambda _: None), on("eth_getCode", lambda _: "0xz"),
    on("eth_getLogs", lambda _: None), on("eth_getLogs", lambda _: {"logs": []}), on("eth_getLogs", lambda _: ["log"]),
    on("eth_getLogs", lambda _: [{}]), on("eth_getLogs", lambda _: [None]),
    last_log(lambda log: log.update(address="0x" + "13" * 20)), last_log(lambda log: log.update(address=None)),
    last_log(lambda log: log.update(blockNumber="0xffffffff")), last_log(lambda log: log.update(blockNumber="soon")),
    last_log(lambda log: log.update(data="0x")), last_log(lambda log: log.update(data=None)),
    last_log(lambda log: log.pop("logIndex")), last_log(lambda log: log.update(topics=["0x1"])),
    last_log(lambda log: log.pop("topics")), on("eth_getProof", lambda _: None), on("eth_getProof", lambda _: []),
]  # fmt: skip


@pytest.mark.parametrize("lie", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_is_the_nodes_fault(lie: Lie, honest: Path, replay: Replay) -> None:
    """No verdict, no traceback, and the trail is not blamed."""
    with replay.lying(lie) as url, pytest.raises(NodeError, match="answers") as caught:
        verified(honest, url)
    assert "manifest" not in str(caught.value)


def test_an_anonymous_log_is_no_event_of_ours(honest: Path, replay: Replay) -> None:
    with replay.lying(on("eth_getLogs", lambda logs: [*logs, logs[-1] | {"topics": []}])) as url:
        assert verified(honest, url).findings == []


BROKEN = [
    Raw(500, b"{}"), Raw(502, b"<html>"), Raw(200, b""), Raw(200, b"{"), Raw(200, b"\xff\xfe"), Raw(404, b"no"),
    Raw(400, b"[]"), Raw(401, b'{"error": null}'), Raw(429, b"slow down"),
]  # fmt: skip


@pytest.mark.parametrize("answer", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_node_gives_no_verdict(answer: Raw, honest: Path, replay: Replay) -> None:
    with replay.lying(lambda *_: answer) as url, pytest.raises(NodeError, match="does not answer eth_chainId"):
        verified(honest, url)


@pytest.mark.parametrize("answer", [Raw(200, b"[]"), Raw(200, b"7"), Raw(200, b"null"), Raw(200, b'{"id": 1}')])
def test_an_answer_without_result_is_a_refusal(answer: Raw, honest: Path, replay: Replay) -> None:
    with replay.lying(lambda *_: answer) as url, pytest.raises(NodeRefusalError, match="refuses eth_chainId"):
        verified(honest, url)


@pytest.mark.parametrize("method", ["eth_getCode", "eth_getProof", "eth_getBlockByNumber"])
@pytest.mark.parametrize("status", [200, 400, 403])
def test_pruned_state_is_no_verdict(method: str, status: int, honest: Path, replay: Replay) -> None:
    """The node's own words reach the reader, under whatever HTTP status they come."""
    lie = on(method, lambda _: Refusal("missing trie node", status))
    with replay.lying(lie) as url, pytest.raises(NodeRefusalError, match=f"refuses {method}: .*missing trie node"):
        verified(honest, url)


@pytest.mark.parametrize("url", ["http://[", "nothing", "ftp://127.0.0.1/", "http://127.0.0.1:9"])
def test_a_url_that_leads_nowhere(url: str, honest: Path) -> None:
    with pytest.raises(NodeError, match="does not answer"):
        verified(honest, url)


def narrow(widest: int, status: int = 200) -> Lie:
    """A node that answers no more than so many blocks of logs at once."""

    def lie(method: str, params: list[Any], result: Result) -> Result:
        if method != "eth_getLogs":
            return result
        width = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
        return Refusal("range too wide", status) if width > widest else result

    return lie


@pytest.mark.parametrize(("widest", "status"), [(1, 200), (2, 200), (3, 413), (5, 400)])
def test_refused_ranges_are_split(widest: int, status: int, honest: Path, replay: Replay) -> None:
    with replay.lying(narrow(widest, status)) as url:
        assert verified(honest, url).findings == []
    spans = [
        (int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16))
        for method, params in replay.calls if method == "eth_getLogs"
    ]  # fmt: skip
    answered = [span for span in spans if span[1] - span[0] < widest]
    assert all(before[1] + 1 == after[0] for before, after in pairwise(answered))
    assert (answered[0][0], answered[-1][1]) == spans[0]


def test_a_node_that_refuses_single_blocks_is_an_error(honest: Path, replay: Replay) -> None:
    with replay.lying(narrow(0)) as url, pytest.raises(NodeRefusalError, match="range too wide"):
        verified(honest, url)
    assert len(replay.calls) < 40


def test_logs_are_read_in_windows(
    history: tuple[World, Lines, dict[str, Any]], replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each window starts where the one before ended; progress reaches the end once."""
    monkeypatch.setattr(chain, "WINDOW_BLOCKS", 3)
    _, _, manifest = history
    first, last = manifest["chain"]["deployment_block"], manifest["head"]["number"]
    seen: list[tuple[int, int]] = []
    node = Node(replay.url)
    try:
        facts = chain.read_facts(node, manifest["chain"]["contract"], first, last, lambda *done: seen.append(done))
    finally:
        node.close()
    blocks = last - first + 1
    assert seen == [(min(end, blocks), blocks) for end in range(3, blocks + 3, 3)]
    assert facts.totals == {"issue": 560, "reverse": 121, "redeem": 35, "expire": 40}
