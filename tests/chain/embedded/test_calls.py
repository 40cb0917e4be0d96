"""Calls and estimates: what they answer, what they refuse, and that they leave nothing behind."""

from typing import Any

import pytest
from eth_abi import encode
from eth_account.signers.local import LocalAccount

from chain.embedded.assembler import BURNER, CONTEXT, COUNTER, REVERTER, SETTER, assemble, creation, words
from chain.embedded.support import STRANGER, Client, RpcError, account

CAP = 16_777_216


@pytest.fixture(scope="module")
def contracts(rpc: Client) -> dict[str, str]:
    owner = account(298)
    programs = {
        "counter": COUNTER, "reverter": REVERTER, "context": CONTEXT, "burner": BURNER, "setter": SETTER,
        "invalid": bytes.fromhex("fe"), "underflow": assemble("ADD"), "nowhere": assemble("3 JUMP"),
    }  # fmt: skip
    return {name: rpc.deploy(owner, creation(code)) for name, code in programs.items()}


def refused(rpc: Client, method: str, *parameters: Any) -> RpcError:
    with pytest.raises(RpcError) as refusal:
        rpc(method, *parameters)
    return refusal.value


def test_a_call_sees_the_block_it_names(rpc: Client, contracts: dict[str, str], sender: LocalAccount) -> None:
    block = rpc("eth_getBlockByNumber", "latest", False)
    rpc.mine(sender)
    request = {"to": contracts["context"], "from": sender.address}
    answer = bytes.fromhex(rpc("eth_call", request, {"blockHash": block["hash"]})[2:])
    number, timestamp, base_fee, caller, parent = (answer[at : at + 32] for at in range(0, 160, 32))
    assert int.from_bytes(number, "big") == int(block["number"], 16)
    assert int.from_bytes(timestamp, "big") == int(block["timestamp"], 16)
    assert int.from_bytes(base_fee, "big") == 0
    assert "0x" + caller[12:].hex() == sender.address.lower()
    assert "0x" + parent.hex() == block["parentHash"]
    assert rpc("eth_call", request) != "0x" + answer.hex()


def test_a_call_changes_nothing(rpc: Client, contracts: dict[str, str]) -> None:
    head = rpc("eth_getBlockByNumber", "latest", False)
    request = {"to": contracts["counter"], "data": "0x" + words(4, 5).hex()}
    assert rpc("eth_call", request, "latest") == "0x"
    rpc("eth_estimateGas", request)
    assert rpc("eth_getBlockByNumber", "latest", False) == head
    assert int(rpc("eth_getStorageAt", contracts["counter"], "0x4", "latest"), 16) == 0


def test_a_call_creates_in_thought(rpc: Client) -> None:
    assert rpc("eth_call", {"input": "0x" + creation(COUNTER).hex()}) == "0x" + COUNTER.hex()


def test_a_revert_carries_its_data(rpc: Client, contracts: dict[str, str]) -> None:
    for method in ("eth_call", "eth_estimateGas"):
        refusal = refused(rpc, method, {"to": contracts["reverter"], "data": "0xdeadbeef"}, "latest")
        assert (refusal.code, refusal.message, refusal.data) == (3, "execution reverted", "0xdeadbeef")


@pytest.mark.parametrize("reason", ["", "plus de points", "é" * 40])
def test_a_revert_with_a_reason_says_it(rpc: Client, contracts: dict[str, str], reason: str) -> None:
    payload = "0x08c379a0" + encode(["string"], [reason]).hex()
    refusal = refused(rpc, "eth_call", {"to": contracts["reverter"], "data": payload})
    assert refusal.message == (f"execution reverted: {reason}" if reason else "execution reverted")
    assert refusal.data == payload


def test_a_revert_with_a_lying_length_has_no_reason(rpc: Client, contracts: dict[str, str]) -> None:
    payload = "0x08c379a0" + words(32, 2**200).hex()
    refusal = refused(rpc, "eth_call", {"to": contracts["reverter"], "data": payload})
    assert refusal.message == "execution reverted"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("invalid", "Invalid opcode 0xfe"),
        ("underflow", "Insufficient stack"),
        ("nowhere", "Invalid Jump Destination"),
    ],
)
def test_a_fault_is_an_error_without_data(rpc: Client, contracts: dict[str, str], name: str, message: str) -> None:
    refusal = refused(rpc, "eth_call", {"to": contracts[name]})
    assert refusal.code == -32000
    assert message in refusal.message
    assert refusal.data is None


def test_a_call_out_of_gas_says_so(rpc: Client, contracts: dict[str, str]) -> None:
    refusal = refused(rpc, "eth_call", {"to": contracts["burner"], "gas": hex(100_000)})
    assert refusal.code == -32000
    assert refusal.message.startswith("out of gas: ")


def test_wherever_the_gas_ends_it_is_the_gas_that_is_missed(rpc: Client, contracts: dict[str, str]) -> None:
    """A storage write refuses to begin with its last 2,300 gas (EIP-2200), in other words than a plain step."""
    request = {"to": contracts["counter"], "data": "0x" + words(4, 5, 6).hex()}
    enough = int(rpc("eth_estimateGas", request), 16)
    spellings = set()
    for gas in range(enough - 32_000, enough - 8_000, 500):
        refusal = refused(rpc, "eth_call", request | {"gas": hex(gas)})
        spellings.add("SSTORE" in refusal.message)
        assert refusal.message.startswith("out of gas: ")
        refusal = refused(rpc, "eth_estimateGas", request | {"gas": hex(gas)})
        assert refusal.message == f"gas required exceeds allowance ({gas})"
    assert spellings == {True, False}


def test_an_estimate_that_needs_more_than_the_cap_says_so(rpc: Client, contracts: dict[str, str]) -> None:
    refusal = refused(rpc, "eth_estimateGas", {"to": contracts["burner"], "gas": "0x186a0"})
    assert refusal.message == "gas required exceeds allowance (100000)"
    refusal = refused(rpc, "eth_estimateGas", {"to": contracts["burner"]})
    assert refusal.message == f"gas required exceeds allowance ({CAP})"


@pytest.mark.parametrize("values", [(), (1,), tuple(range(100, 140))])
def test_an_estimate_is_enough_and_not_much_more(
    rpc: Client, contracts: dict[str, str], sender: LocalAccount, values: tuple[int, ...]
) -> None:
    request = {"to": contracts["counter"], "from": sender.address, "data": "0x" + words(*values).hex()}
    estimate = int(rpc("eth_estimateGas", request), 16)
    receipt = rpc.mine(sender, to=contracts["counter"], data=words(*values), gas=estimate)
    used = int(receipt["gasUsed"], 16)
    assert receipt["status"] == "0x1"
    assert used <= estimate <= used + used // 64 + 5_000 + 1


def test_an_estimate_leaves_room_for_what_is_refunded_at_the_end(
    rpc: Client, contracts: dict[str, str], sender: LocalAccount
) -> None:
    rpc.mine(sender, to=contracts["setter"], data=words(1))
    request = {"to": contracts["setter"], "data": "0x" + words(0).hex()}
    estimate = int(rpc("eth_estimateGas", request), 16)
    receipt = rpc.mine(sender, to=contracts["setter"], data=words(0), gas=estimate)
    assert receipt["status"] == "0x1"
    assert estimate > int(receipt["gasUsed"], 16) + 4_000


def test_a_plain_transfer_is_estimated_exactly(rpc: Client, sender: LocalAccount) -> None:
    assert rpc("eth_estimateGas", {"from": sender.address, "to": STRANGER, "value": "0x1"}) == hex(21_000)


def test_an_estimate_never_exceeds_what_it_was_allowed(rpc: Client, contracts: dict[str, str]) -> None:
    request = {"to": contracts["counter"], "data": "0x" + words(77).hex(), "gas": hex(60_000)}
    assert int(rpc("eth_estimateGas", request), 16) <= 60_000


def test_value_that_the_caller_does_not_have_is_refused(rpc: Client) -> None:
    for method in ("eth_call", "eth_estimateGas"):
        request = {"from": "0x" + "99" * 20, "to": STRANGER, "value": "0x1"}
        assert refused(rpc, method, request).message.startswith("insufficient funds for gas * price + value")


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "0x12"},
        {"to": "12" * 20},
        {"to": 7},
        {"to": STRANGER, "data": "0x1"},
        {"to": STRANGER, "data": "xx"},
        {"to": STRANGER, "value": "1"},
        {"to": STRANGER, "value": 1},
        {"to": STRANGER, "value": "0x"},
        {"to": STRANGER, "value": "0x" + "f" * 65},
        {"to": STRANGER, "gas": "0x01"},
        {"to": STRANGER, "data": "0x01", "input": "0x02"},
        {"to": STRANGER, "colour": "red"},
        {"to": STRANGER, "accessList": {}},
        {"to": STRANGER, "accessList": [{"address": "0x00"}]},
        {"to": STRANGER, "accessList": ["x"]},
        {"to": STRANGER, "accessList": [{"address": STRANGER, "storageKeys": ["0x1"]}]},
        [],
        "0x",
        None,
    ],
)
def test_a_malformed_call_is_refused(rpc: Client, fields: Any) -> None:
    for method in ("eth_call", "eth_estimateGas"):
        assert refused(rpc, method, fields).code == -32602


def test_data_and_input_may_say_the_same(rpc: Client, contracts: dict[str, str]) -> None:
    request = {"to": contracts["counter"], "data": "0x01", "input": "0x01", "accessList": [
        {"address": contracts["counter"], "storageKeys": [topic(1)]}
    ]}  # fmt: skip
    assert rpc("eth_call", request) == "0x"


def topic(value: int) -> str:
    return "0x" + words(value).hex()


def test_too_little_gas_to_start_is_refused(rpc: Client) -> None:
    refusal = refused(rpc, "eth_call", {"to": STRANGER, "gas": hex(20_999)})
    assert refusal.message == "intrinsic gas too low: gas 20999, minimum needed 21000"
    refusal = refused(rpc, "eth_call", {"data": "0x" + "00" * 50_000})
    assert refusal.message.startswith("max initcode size exceeded")


def test_an_unknown_block_is_refused(rpc: Client) -> None:
    for method in ("eth_call", "eth_estimateGas"):
        assert refused(rpc, method, {"to": STRANGER}, "0xffffff").message == "header not found"
