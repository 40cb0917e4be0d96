"""What the chain takes, what it refuses and in which words: geth's, because clients match on them."""

from typing import Any

import pytest
import rlp
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from chain.embedded.assembler import BURNER, COUNTER, REVERTER, SETTER, creation, words
from chain.embedded.support import CHAIN_ID, GWEI, STRANGER, Client, RpcError, account, sign

CAP = 16_777_216


def refused(rpc: Client, raw: str) -> RpcError:
    with pytest.raises(RpcError) as refusal:
        rpc("eth_sendRawTransaction", raw)
    return refusal.value


def balance(rpc: Client, address: str) -> int:
    return int(rpc("eth_getBalance", address, "latest"), 16)


def test_a_transfer_moves_value_and_pays_gas(rpc: Client, sender: LocalAccount) -> None:
    target = "0x" + sender.address[2:10].lower() * 5
    before = balance(rpc, sender.address)
    receipt = rpc.mine(sender, to=target, value=5 * GWEI)
    paid = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
    assert receipt["status"] == "0x1"
    assert balance(rpc, target) == 5 * GWEI
    assert balance(rpc, sender.address) == before - paid - 5 * GWEI


def test_the_answer_is_the_transactions_own_hash(rpc: Client, sender: LocalAccount) -> None:
    raw = sign(sender)
    assert rpc("eth_sendRawTransaction", raw) == "0x" + keccak(hexstr=raw).hex()


def test_every_answered_transaction_is_mined_at_once(rpc: Client, sender: LocalAccount) -> None:
    digest = rpc.send(sender)
    assert rpc("eth_getTransactionByHash", digest)["blockHash"] is not None
    assert rpc.nonce(sender) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"type": None, "gasPrice": 3 * GWEI, "maxFeePerGas": None, "maxPriorityFeePerGas": None},
        {"type": 1, "gasPrice": 3 * GWEI, "maxFeePerGas": None, "maxPriorityFeePerGas": None,
         "accessList": [{"address": STRANGER, "storageKeys": ["0x" + "01" * 32]}]},
        {"type": 2, "accessList": [{"address": STRANGER, "storageKeys": []}]},
    ],
)  # fmt: skip
def test_every_type_of_transaction_is_taken(rpc: Client, sender: LocalAccount, fields: dict[str, Any]) -> None:
    receipt = rpc.mine(sender, **fields)
    transaction = rpc("eth_getTransactionByHash", receipt["transactionHash"])
    assert receipt["status"] == "0x1"
    assert int(transaction["type"], 16) == (fields["type"] or 0)
    assert transaction["from"] == sender.address.lower()
    if fields.get("accessList"):
        assert transaction["accessList"] == fields["accessList"]
        assert int(receipt["gasUsed"], 16) == 21_000 + 2_400 + 1_900 * len(fields["accessList"][0]["storageKeys"])


def test_a_delegation_is_taken_and_used(rpc: Client, sender: LocalAccount, other_sender: LocalAccount) -> None:
    """EIP-7702: the other account gets the counter's code by its own signature."""
    counter = rpc.deploy(sender, creation(COUNTER))
    grant = other_sender.sign_authorization({"chainId": CHAIN_ID, "address": counter, "nonce": 0})
    receipt = rpc.mine(sender, type=4, to=other_sender.address, data=words(5), gas=500_000, authorizationList=[grant])
    assert receipt["status"] == "0x1"
    assert receipt["logs"][0]["address"] == other_sender.address.lower()
    assert rpc("eth_getCode", other_sender.address, "latest") == "0xef0100" + counter[2:]
    transaction = rpc("eth_getTransactionByHash", receipt["transactionHash"])
    assert transaction["authorizationList"][0]["address"] == counter
    assert rpc.mine(other_sender)["status"] == "0x1"


def test_the_same_transaction_twice_is_already_known(rpc: Client, sender: LocalAccount) -> None:
    raw = sign(sender)
    rpc("eth_sendRawTransaction", raw)
    refusal = refused(rpc, raw)
    assert (refusal.code, refusal.message) == (-32000, "already known")
    assert rpc.nonce(sender) == 1


def test_a_used_nonce_is_too_low(rpc: Client, sender: LocalAccount) -> None:
    rpc.send(sender)
    refusal = refused(rpc, sign(sender, nonce=0, value=1))
    assert (refusal.code, refusal.message) == (-32000, "nonce too low: next nonce 1, tx nonce 0")


def test_a_transaction_ahead_waits_for_the_one_before(rpc: Client, sender: LocalAccount) -> None:
    ahead = rpc.send(sender, nonce=2, value=2)
    queued = rpc("eth_getTransactionByHash", ahead)
    assert queued["blockHash"] is queued["blockNumber"] is queued["transactionIndex"] is None
    assert rpc("eth_getTransactionReceipt", ahead) is None
    assert refused(rpc, sign(sender, nonce=2, value=2)).message == "already known"
    rpc.send(sender, nonce=0)
    assert rpc("eth_getTransactionReceipt", ahead) is None
    filler = rpc.send(sender, nonce=1)
    receipts = [rpc("eth_getTransactionReceipt", digest) for digest in (filler, ahead)]
    assert receipts[0]["blockHash"] == receipts[1]["blockHash"]
    assert [receipt["transactionIndex"] for receipt in receipts] == ["0x0", "0x1"]
    assert rpc.nonce(sender) == 3


def test_the_pending_nonce_counts_what_waits_without_a_gap(rpc: Client, sender: LocalAccount) -> None:
    rpc.send(sender, nonce=1)
    assert rpc.nonce(sender, "pending") == rpc.nonce(sender) == 0
    # An unpayable successor stays queued behind the mined one and counts as pending.
    rpc.send(sender, nonce=3, value=10**30)
    rpc.send(sender, nonce=0)
    assert rpc.nonce(sender) == 2
    rpc.send(sender, nonce=2)
    assert (rpc.nonce(sender), rpc.nonce(sender, "pending")) == (3, 4)


@pytest.mark.parametrize(
    ("fee", "tip", "taken"),
    [(10.9, 1.1, False), (11, 1.09, False), (11, 1.1, True), (20, 2, True), (10, 1, False)],
)
def test_a_replacement_pays_a_tenth_more(
    rpc: Client, sender: LocalAccount, fee: float, tip: float, taken: bool
) -> None:
    old = rpc.send(sender, nonce=1, maxFeePerGas=10 * GWEI, maxPriorityFeePerGas=GWEI)
    raw = sign(sender, nonce=1, maxFeePerGas=int(fee * GWEI), maxPriorityFeePerGas=int(tip * GWEI), value=7)
    if taken:
        new = rpc("eth_sendRawTransaction", raw)
        assert rpc("eth_getTransactionByHash", old) is None
    else:
        refusal = refused(rpc, raw)
        assert (refusal.code, refusal.message) == (-32000, "replacement transaction underpriced")
        new = old
    rpc.send(sender, nonce=0)
    assert rpc("eth_getTransactionReceipt", new)["status"] == "0x1"


def test_a_queued_transaction_that_became_next_is_replaced_on_the_same_terms(rpc: Client, sender: LocalAccount) -> None:
    stuck = rpc.send(sender, nonce=1, value=10**30)
    rpc.send(sender, nonce=0)
    assert rpc("eth_getTransactionReceipt", stuck) is None
    assert "underpriced" in refused(rpc, sign(sender, nonce=1)).message
    receipt = rpc.mine(sender, nonce=1, maxFeePerGas=12 * GWEI, maxPriorityFeePerGas=2 * GWEI)
    assert receipt["status"] == "0x1"
    assert rpc("eth_getTransactionByHash", stuck) is None


def test_the_gas_cap_of_eip_7825(rpc: Client, sender: LocalAccount) -> None:
    refusal = refused(rpc, sign(sender, gas=CAP + 1))
    assert refusal.code == -32000
    assert refusal.message == f"transaction gas limit too high (cap: {CAP}, tx: {CAP + 1})"
    assert rpc.mine(sender, gas=CAP)["status"] == "0x1"


def test_a_block_holds_two_transactions_at_the_cap(rpc: Client, sender: LocalAccount) -> None:
    """Three do fit in 60 million gas; the fourth opens the next block."""
    burner = rpc.deploy(sender, creation(BURNER))
    for nonce in (4, 3, 2):
        rpc.send(sender, nonce=nonce, to=burner, gas=CAP)
    first = rpc.mine(sender, nonce=1, to=burner, gas=CAP)
    mined = rpc("eth_getBlockReceipts", first["blockHash"])
    assert [receipt["gasUsed"] for receipt in mined] == [hex(CAP)] * 3
    assert all(receipt["status"] == "0x0" for receipt in mined)
    rest = rpc("eth_getBlockReceipts", hex(int(first["blockNumber"], 16) + 1))
    assert len(rest) == 1
    assert rpc.nonce(sender) == 5


@pytest.mark.parametrize(
    ("fields", "words_of_geth"),
    [
        ({"gas": 20_999}, "intrinsic gas too low: gas 20999, minimum needed 21000"),
        ({"gas": 21_015, "data": b"\1"}, "intrinsic gas too low: gas 21015, minimum needed 21016"),
        (
            {"gas": 21_000 + 16 * 500, "data": b"\1" * 500},
            "insufficient gas for floor data gas cost: gas 29000, minimum needed 41000",
        ),
        ({"to": None, "data": b"\0" * 64, "gas": 53_256}, "intrinsic gas too low"),
        ({"maxPriorityFeePerGas": 11 * GWEI}, "max priority fee per gas higher than max fee per gas"),
        ({"maxFeePerGas": 0, "maxPriorityFeePerGas": 0}, "max fee per gas less than block base fee"),
        ({"value": 10**24}, "insufficient funds for gas * price + value: balance 10"),
        ({"data": b"\1" * 131_072, "gas": CAP}, "oversized data: transaction size 13"),
        ({"to": None, "data": b"\0" * 49_153, "gas": CAP}, "max initcode size exceeded: code size 49153"),
        ({"chainId": 1}, f"invalid chain id for signer: have 1 want {CHAIN_ID}"),
    ],
)
def test_what_cannot_run_is_refused_in_geths_words(
    rpc: Client, sender: LocalAccount, fields: dict[str, Any], words_of_geth: str
) -> None:
    head = rpc("eth_blockNumber")
    refusal = refused(rpc, sign(sender, **fields))
    assert refusal.code == -32000
    assert refusal.message.startswith(words_of_geth)
    assert rpc("eth_blockNumber") == head
    assert rpc.nonce(sender) == 0


def test_whoever_has_no_funds_is_refused(rpc: Client) -> None:
    refusal = refused(rpc, sign(account(5_000)))
    assert refusal.message.startswith("insufficient funds for gas * price + value: balance 0, tx cost ")


def resigned(raw: str, index: int, value: bytes) -> str:
    fields = rlp.decode(bytes.fromhex(raw[4:]))
    fields[index] = value
    return "0x02" + rlp.encode(fields).hex()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda _: "0x", "typed transaction too short"),
        (lambda raw: "0x03" + raw[4:], "transaction type not supported"),
        (lambda raw: "0x00" + raw[4:], "transaction type not supported"),
        (lambda raw: raw[:-2], "rlp: "),
        (lambda raw: raw + "00", "rlp: "),
        (lambda _: "0x02" + rlp.encode([b""] * 11).hex(), "rlp: a type 2 transaction has 12 fields"),
        (lambda raw: resigned(raw, 1, b"\0"), "rlp: integer with a leading zero"),
        (lambda raw: resigned(raw, 1, b"\1" * 9), "rlp: integer longer than 8 bytes"),
        (lambda raw: resigned(raw, 5, b"\1" * 19), "rlp: the recipient is neither empty nor 20 bytes"),
        (lambda raw: resigned(raw, 9, b"\2"), "invalid sender"),
        (lambda raw: resigned(raw, 10, b""), "invalid sender"),
        (lambda raw: resigned(raw, 11, b"\xff" * 32), "invalid sender"),
        (lambda raw: resigned(raw, 10, b"\xff" * 32), "invalid sender"),
    ],
)
def test_bytes_that_are_no_transaction_are_refused(rpc: Client, sender: LocalAccount, spoil: Any, message: str) -> None:
    refusal = refused(rpc, spoil(sign(sender)))
    assert refusal.code == -32000
    assert refusal.message.startswith(message)


def test_a_changed_transaction_is_somebody_elses(rpc: Client, sender: LocalAccount) -> None:
    """Changing a signed field recovers another sender, who has no funds."""
    refusal = refused(rpc, resigned(sign(sender), 6, b"\1"))
    assert refusal.message.startswith(("insufficient funds", "invalid sender"))


def test_a_legacy_transaction_without_chain_id_is_refused(rpc: Client, sender: LocalAccount) -> None:
    raw = sign(sender, type=None, chainId=None, gasPrice=GWEI, maxFeePerGas=None, maxPriorityFeePerGas=None)
    fields = rlp.decode(bytes.fromhex(raw[2:]))
    fields[6] = b"\x1b"
    message = refused(rpc, "0x" + rlp.encode(fields).hex()).message
    assert message == "only replay-protected (EIP-155) transactions allowed over RPC"


def test_a_batch_of_transactions_shares_a_block(rpc: Client, sender: LocalAccount) -> None:
    raws = [sign(sender, nonce=nonce) for nonce in (1, 0, 2)]
    answers = rpc.post([rpc.request("eth_sendRawTransaction", raw) for raw in raws]).json()
    receipts = [rpc("eth_getTransactionReceipt", answer["result"]) for answer in answers]
    assert len({receipt["blockHash"] for receipt in receipts}) == 1
    assert sorted(receipt["transactionIndex"] for receipt in receipts) == ["0x0", "0x1", "0x2"]


def test_a_refusal_in_a_batch_leaves_the_others_alone(rpc: Client, sender: LocalAccount) -> None:
    raws = [sign(sender), sign(sender), sign(sender, nonce=1, gas=CAP + 1), sign(sender, nonce=1)]
    answers = rpc.post([rpc.request("eth_sendRawTransaction", raw) for raw in raws]).json()
    assert ["error" in answer for answer in answers] == [False, True, True, False]
    assert answers[1]["error"]["message"] == "already known"
    assert rpc.nonce(sender) == 2


def test_cleared_storage_refunds_at_most_a_fifth(rpc: Client, sender: LocalAccount) -> None:
    setter = rpc.deploy(sender, creation(SETTER))
    fresh = int(rpc.mine(sender, to=setter, data=words(1))["gasUsed"], 16)
    cleared = int(rpc.mine(sender, to=setter, data=words(0))["gasUsed"], 16)
    # The floor of EIP-7623 does not bind here: 26,000 or so less 4,800 (EIP-3529).
    assert fresh - cleared > 17_100
    assert cleared >= 21_000


def test_a_revert_is_mined_and_costs_only_what_it_used(rpc: Client, sender: LocalAccount) -> None:
    reverter = rpc.deploy(sender, creation(REVERTER))
    receipt = rpc.mine(sender, to=reverter, data=words(1), gas=1_000_000)
    assert receipt["status"] == "0x0"
    assert int(receipt["gasUsed"], 16) < 30_000


def test_the_queue_is_bounded(start_node: Any) -> None:
    _, rpc = start_node()
    owner = account(0)
    raws = [sign(owner, nonce=nonce) for nonce in range(1, 1_026)]
    requests = [rpc.request("eth_sendRawTransaction", raw) for raw in raws]
    answers = [*rpc.post(requests[:1_000]).json(), *rpc.post(requests[1_000:]).json()]
    assert ["error" in answer for answer in answers] == [False] * 1_024 + [True]
    assert answers[-1]["error"]["message"] == "txpool is full"
    rpc.send(owner, nonce=0)
    assert rpc.nonce(owner) == 1_025
