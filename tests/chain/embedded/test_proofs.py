"""EIP-1186 proofs, verified by the trie library alone, and the same proofs tampered with."""

from typing import Any

import pytest
import rlp
from eth_utils import keccak
from trie import HexaryTrie
from trie.exceptions import BadTrieProof, ValidationError

from chain.embedded.assembler import COUNTER, creation, words
from chain.embedded.support import STRANGER, Client, RpcError, account

SLOTS = tuple(range(1, 40))
HOLDER = 297


def data(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def value_in(root: str, key: bytes, nodes: list[str]) -> bytes:
    """What the nodes prove about `key` under `root`: its value, or b"" for its absence."""
    found: bytes = HexaryTrie.get_from_proof(data(root), keccak(key), [rlp.decode(data(n)) for n in nodes])
    return found


def integer(value: str) -> bytes:
    number = int(value, 16)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def account_of(proof: dict[str, Any]) -> bytes:
    return rlp.encode([
        integer(proof["nonce"]), integer(proof["balance"]), data(proof["storageHash"]), data(proof["codeHash"]),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def counter(rpc: Client) -> str:
    owner = account(HOLDER)
    address = rpc.deploy(owner, creation(COUNTER))
    assert rpc.mine(owner, to=address, data=words(*SLOTS), gas=5_000_000)["status"] == "0x1"
    return address


def ask(rpc: Client, address: str, slots: list[str], block: Any = "latest") -> tuple[dict[str, Any], str]:
    header = rpc("eth_getBlockByNumber", block, False)
    return rpc("eth_getProof", address, slots, {"blockHash": header["hash"]}), header["stateRoot"]


def test_an_account_is_proven_under_the_state_root(rpc: Client, counter: str) -> None:
    for address in (counter, account(HOLDER).address):
        proof, root = ask(rpc, address, [])
        assert value_in(root, data(address), proof["accountProof"]) == account_of(proof)
        assert proof["balance"] == rpc("eth_getBalance", address, "latest")


def test_slots_are_proven_under_the_storage_root(rpc: Client, counter: str) -> None:
    proof, _ = ask(rpc, counter, [hex(slot) for slot in SLOTS])
    for slot, entry in zip(SLOTS, proof["storageProof"], strict=True):
        assert value_in(proof["storageHash"], words(slot), entry["proof"]) == b"\1"
        assert (entry["value"], int(entry["key"], 16)) == ("0x1", slot)


def test_absence_is_proven_too(rpc: Client, counter: str) -> None:
    proof, root = ask(rpc, counter, ["0xfffffff", "0x0"])
    for entry, slot in zip(proof["storageProof"], (0xFFFFFFF, 0), strict=True):
        assert value_in(proof["storageHash"], words(slot), entry["proof"]) == b""
        assert entry["value"] == "0x0"
    nobody = "0x" + "ee" * 20
    proof, root = ask(rpc, nobody, ["0x1"])
    assert value_in(root, data(nobody), proof["accountProof"]) == b""
    assert proof["storageProof"] == [{"key": "0x" + words(1).hex(), "value": "0x0", "proof": []}]


def test_the_proof_of_an_old_block_is_of_its_own_state(rpc: Client, counter: str) -> None:
    before, root_before = ask(rpc, counter, ["0x1"])
    number = rpc("eth_blockNumber")
    assert rpc.mine(account(HOLDER), to=counter, data=words(1))["status"] == "0x1"
    after, root_after = ask(rpc, counter, ["0x1"])
    assert ask(rpc, counter, ["0x1"], number) == (before, root_before)
    assert root_before != root_after
    assert int(after["storageProof"][0]["value"], 16) == int(before["storageProof"][0]["value"], 16) + 1


@pytest.mark.parametrize("byte", [0, 5, -1])
def test_a_tampered_proof_fails(rpc: Client, counter: str, byte: int) -> None:
    proof, root = ask(rpc, counter, ["0x2"])
    for key, top, nodes in (
        (data(counter), root, proof["accountProof"]),
        (words(2), proof["storageHash"], proof["storageProof"][0]["proof"]),
    ):
        for index in range(len(nodes)):
            body = bytearray(data(nodes[index]))
            body[byte] ^= 1
            tampered = [*nodes[:index], "0x" + body.hex(), *nodes[index + 1 :]]
            with pytest.raises((BadTrieProof, ValidationError, rlp.DecodingError)):
                value_in(top, key, tampered)


def test_a_proof_does_not_stand_for_another_key(rpc: Client, counter: str) -> None:
    proof, _ = ask(rpc, counter, ["0x2"])
    try:
        found = value_in(proof["storageHash"], words(3), proof["storageProof"][0]["proof"])
    except BadTrieProof:
        found = b""
    assert found != b"\1"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ([STRANGER], -32602),
        ([STRANGER, "0x1"], -32602),
        ([STRANGER, ["1"]], -32602),
        ([STRANGER, ["0x" + "1" * 65]], -32602),
        ([STRANGER[:-2], []], -32602),
        ([STRANGER, ["0x1"] * 1_001], -32005),
    ],
)
def test_a_malformed_question_is_refused(rpc: Client, parameters: list[Any], code: int) -> None:
    with pytest.raises(RpcError) as refusal:
        rpc("eth_getProof", *parameters)
    assert refusal.value.code == code
