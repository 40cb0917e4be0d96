"""Logs of receipts that were proven: whose they are, which they are, and where they stand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.mirror.kit import root, wallet
from mereau.chain.contract import topic
from mereau.chain.faults import NodeFaultError
from mereau.chain.logs import UNKNOWN_EVENT, EventRow, LogReader
from mereau.chain.receipts import ProvenReceipt, encode_logs

OURS, OTHERS = "0x" + "ab" * 20, "0x" + "cd" * 20


def word(address: bytes) -> str:
    return "0x" + address.rjust(32, b"\0").hex()


def transfer(source: bytes, target: bytes, tokens: int, address: str = OURS) -> dict[str, Any]:
    topics = ["0x" + topic("Transfer").hex(), word(source), word(target)]
    return {"address": address, "topics": topics, "data": f"0x{tokens:064x}"}


def receipt(*logs: dict[str, Any]) -> ProvenReceipt:
    return ProvenReceipt(root("transaction"), True, encode_logs(logs))


def read(number: int, *receipts: ProvenReceipt) -> tuple[Any, list[EventRow]]:
    return LogReader(bytes.fromhex(OURS[2:])).read(number, receipts)


def test_indexes_count_every_log_of_the_block() -> None:
    """Those of other contracts and of earlier receipts too, whatever index the node gives them."""
    receipts = [
        receipt(transfer(bytes(20), wallet(9), 1, OTHERS), transfer(bytes(20), wallet(1), 5)),
        receipt(),
        receipt(transfer(wallet(9), wallet(8), 1, OTHERS), transfer(wallet(1), wallet(2), 3) | {"logIndex": "0x0"}),
    ]
    transfers, events = read(7, *receipts)
    assert transfers == [(7, 1, bytes(20), wallet(1), 5), (7, 3, wallet(1), wallet(2), 3)]
    assert events == []


def test_upper_case_is_the_same_address_and_topic() -> None:
    log = transfer(bytes(20), wallet(1), 5, "0x" + "AB" * 20)
    log["topics"] = [text.upper().replace("0X", "0x") for text in log["topics"]]
    assert read(1, receipt(log))[0] == [(1, 0, bytes(20), wallet(1), 5)]


def test_an_event_that_the_contract_does_not_define_is_kept_as_it_is() -> None:
    strange = {"address": OURS, "topics": ["0x" + root("strange").hex()], "data": "0x01"}
    bare = {"address": OURS, "topics": [], "data": "0x"}
    _, events = read(3, receipt(strange, bare))
    assert events == [
        EventRow(3, 0, root("transaction"), UNKNOWN_EVENT, {"topics": strange["topics"], "data": "0x01"}),
        EventRow(3, 1, root("transaction"), UNKNOWN_EVENT, {"topics": [], "data": "0x"}),
    ]


def test_integers_that_json_readers_would_round_are_text() -> None:
    def issued(total: int) -> dict[str, Any]:
        topics = ["0x" + topic("Issued").hex(), f"0x{1:064x}", f"0x{2**53 - 1:064x}"]
        return {"address": OURS, "topics": topics, "data": "0x" + root("r").hex() + f"{total:064x}"}

    _, events = read(1, receipt(issued(2**53 - 1), issued(2**53)))
    assert [event.data["total"] for event in events] == [2**53 - 1, str(2**53)]
    assert events[0].data["sequence"] == 2**53 - 1


def approval() -> dict[str, Any]:
    """Of the shape of a Transfer, and none."""
    return transfer(wallet(1), wallet(2), 9) | {"topics": ["0x" + root("Approval").hex(), word(b"a"), word(b"b")]}


LOGS = st.one_of(
    st.builds(transfer, st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20),
              st.integers(0, 2**63 - 1), st.sampled_from([OURS, OTHERS])),
    st.builds(approval),
    st.builds(lambda data: {"address": OTHERS, "topics": [], "data": "0x" + data.hex()}, st.binary(max_size=300)),
)  # fmt: skip


@given(st.lists(st.lists(LOGS, max_size=5), max_size=4))
def test_any_mixture_is_read_as_it_was_logged(listed: list[list[dict[str, Any]]]) -> None:
    """However runs of transfers begin and end, none is lost, taken twice or counted elsewhere."""
    transfers, events = read(4, *(receipt(*logs) for logs in listed))
    numbered = list(enumerate(log for logs in listed for log in logs))
    moved = "0x" + topic("Transfer").hex()
    assert transfers == [
        (4, index, *(bytes.fromhex(one[26:]) for one in log["topics"][1:]), int(log["data"], 16))
        for index, log in numbered
        if log["address"] == OURS and log["topics"][0] == moved
    ]
    others = [(index, log) for index, log in numbered if log["address"] == OURS and log["topics"][0] != moved]
    assert [(event.log_index, event.data["topics"]) for event in events] == [(n, log["topics"]) for n, log in others]


@pytest.mark.parametrize("tokens", [2**63, 2**64, 2**256 - 1])
def test_a_transfer_that_no_table_can_hold_is_refused(tokens: int) -> None:
    with pytest.raises(NodeFaultError, match=str(tokens)):
        read(1, receipt(transfer(bytes(20), wallet(1), 5), transfer(bytes(20), wallet(1), tokens)))
    assert read(1, receipt(transfer(bytes(20), wallet(1), 2**63 - 1)))[0][0][4] == 2**63 - 1
