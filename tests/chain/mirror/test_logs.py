"""Logs of receipts that were proven: whose they are, which they are, and where they stand."""

from typing import Any

from chain.mirror.kit import root, wallet
from mereau.chain.contract import topic
from mereau.chain.logs import UNKNOWN_EVENT, EventRow, read_logs

OURS, OTHERS = "0x" + "ab" * 20, "0x" + "cd" * 20


def word(address: bytes) -> str:
    return "0x" + address.rjust(32, b"\0").hex()


def transfer(source: bytes, target: bytes, tokens: int, address: str = OURS) -> dict[str, Any]:
    topics = ["0x" + topic("Transfer").hex(), word(source), word(target)]
    return {"address": address, "topics": topics, "data": f"0x{tokens:064x}"}


def receipt(*logs: dict[str, Any]) -> dict[str, Any]:
    return {"transactionHash": "0x" + root("transaction").hex(), "logs": list(logs)}


def test_indexes_count_every_log_of_the_block() -> None:
    """Those of other contracts and of earlier receipts too, whatever index the node gives them."""
    receipts = [
        receipt(transfer(bytes(20), wallet(9), 1, OTHERS), transfer(bytes(20), wallet(1), 5)),
        receipt(),
        receipt(transfer(wallet(9), wallet(8), 1, OTHERS), transfer(wallet(1), wallet(2), 3) | {"logIndex": "0x0"}),
    ]
    transfers, events = read_logs(7, receipts, OURS)
    assert transfers == [(7, 1, bytes(20), wallet(1), 5), (7, 3, wallet(1), wallet(2), 3)]
    assert events == []


def test_upper_case_is_the_same_address_and_topic() -> None:
    log = transfer(bytes(20), wallet(1), 5, "0x" + "AB" * 20)
    log["topics"] = [text.upper().replace("0X", "0x") for text in log["topics"]]
    assert read_logs(1, [receipt(log)], OURS)[0] == [(1, 0, bytes(20), wallet(1), 5)]


def test_an_event_that_the_contract_does_not_define_is_kept_as_it_is() -> None:
    strange = {"address": OURS, "topics": ["0x" + root("strange").hex()], "data": "0x01"}
    bare = {"address": OURS, "topics": [], "data": "0x"}
    _, events = read_logs(3, [receipt(strange, bare)], OURS)
    assert events == [
        EventRow(3, 0, root("transaction"), UNKNOWN_EVENT, {"topics": strange["topics"], "data": "0x01"}),
        EventRow(3, 1, root("transaction"), UNKNOWN_EVENT, {"topics": [], "data": "0x"}),
    ]


def test_integers_that_json_readers_would_round_are_text() -> None:
    def issued(total: int) -> dict[str, Any]:
        topics = ["0x" + topic("Issued").hex(), f"0x{1:064x}", f"0x{2**53 - 1:064x}"]
        return {"address": OURS, "topics": topics, "data": "0x" + root("r").hex() + f"{total:064x}"}

    _, events = read_logs(1, [receipt(issued(2**53 - 1), issued(2**53))], OURS)
    assert [event.data["total"] for event in events] == [2**53 - 1, str(2**53)]
    assert events[0].data["sequence"] == 2**53 - 1
