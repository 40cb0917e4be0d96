"""web3.py, which knows nothing of this node, does with it what it does with any."""

from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError

from chain.embedded.assembler import COUNTER, REVERTER, creation, words
from chain.embedded.support import STRANGER, Client, account

VALUE = 12_345


@pytest.fixture
def web3(rpc: Client) -> Web3:
    return Web3(Web3.HTTPProvider(rpc.url))


def fields(web3: Web3, sender: LocalAccount, **given: Any) -> dict[str, Any]:
    """A transaction filled in by the client's own questions: nonce, chain, fees, gas."""
    fee = web3.eth.max_priority_fee
    base = web3.eth.get_block("latest")["baseFeePerGas"]
    transaction = {
        "from": sender.address,
        "chainId": web3.eth.chain_id,
        "nonce": web3.eth.get_transaction_count(sender.address, "pending"),
        "maxPriorityFeePerGas": fee,
        "maxFeePerGas": 2 * base + fee,
        "value": 0,
        **given,
    }
    return {**transaction, "gas": web3.eth.estimate_gas(transaction)}


def send(web3: Web3, sender: LocalAccount, **given: Any) -> Any:
    raw = sender.sign_transaction(fields(web3, sender, **given)).raw_transaction
    return web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(raw), timeout=10)


def test_it_connects_and_reads_the_chain(web3: Web3) -> None:
    assert web3.is_connected()
    assert web3.eth.chain_id == 20_826
    assert web3.eth.syncing is False
    assert web3.eth.gas_price > 0
    assert web3.eth.fee_history(2, "latest", [50])["reward"]


def test_it_sends_and_follows_a_transfer(web3: Web3, sender: LocalAccount) -> None:
    target = Web3.to_checksum_address("0x" + sender.address[2:12].lower() * 4)
    receipt = send(web3, sender, to=target, value=VALUE)
    assert receipt["status"] == 1
    assert web3.eth.get_balance(target) == VALUE
    transaction = web3.eth.get_transaction(receipt["transactionHash"])
    assert (transaction["from"], transaction["value"]) == (sender.address, VALUE)
    block = web3.eth.get_block(receipt["blockHash"], full_transactions=True)
    assert block["transactions"][0]["hash"] == receipt["transactionHash"]
    assert web3.eth.get_block_receipts(receipt["blockNumber"])[0] == receipt


def test_it_deploys_and_reads_logs_and_proofs(web3: Web3, sender: LocalAccount) -> None:
    deployed = send(web3, sender, data=creation(COUNTER))
    address = deployed["contractAddress"]
    assert web3.eth.get_code(address) == COUNTER
    receipt = send(web3, sender, to=address, data=words(4))
    logs = web3.eth.get_logs({"address": address, "fromBlock": 0, "toBlock": "latest"})
    assert [log["data"] for log in logs] == [words(4)]
    assert logs == list(receipt["logs"])
    assert int.from_bytes(web3.eth.get_storage_at(address, 4), "big") == 1
    proof = web3.eth.get_proof(address, [4], "latest")
    assert int.from_bytes(proof["storageProof"][0]["value"], "big") == 1


def test_it_understands_a_revert(web3: Web3, sender: LocalAccount) -> None:
    reverter = send(web3, sender, data=creation(REVERTER))["contractAddress"]
    with pytest.raises(ContractLogicError):
        web3.eth.call({"to": reverter, "data": "0x" + words(1).hex()})


def test_it_understands_a_refusal_and_an_absence(web3: Web3) -> None:
    poor = account(7_000)
    transaction = {
        "chainId": 20_826, "nonce": 0, "to": STRANGER, "value": 1, "gas": 21_000, "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 1, "type": 2,
    }  # fmt: skip
    with pytest.raises(Web3RPCError, match="insufficient funds"):
        web3.eth.send_raw_transaction(poor.sign_transaction(
            {**transaction, "to": Web3.to_checksum_address(STRANGER)}
        ).raw_transaction)  # fmt: skip
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction_receipt(b"\1" * 32)
