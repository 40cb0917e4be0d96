"""Blocks, transactions, receipts and logs as the JSON of the Ethereum RPC."""

from collections.abc import Iterator
from typing import Any

from eth_hash.auto import keccak

from mereau.chain.embedded.blocks import (
    NO_REQUESTS,
    NO_UNCLES,
    Header,
    decode_body,
    decode_receipts,
)
from mereau.chain.embedded.codec import encode, encode_int
from mereau.chain.embedded.store import BlockRow
from mereau.chain.embedded.transactions import ACCESS_LIST, LEGACY, SET_CODE, Transaction, decode_mined
from mereau.chain.embedded.trie import BLANK_ROOT

Json = dict[str, Any]

_ZERO_HASH = "0x" + "00" * 32


def hexed(data: bytes) -> str:
    return f"0x{data.hex()}"


def block_json(row: BlockRow, *, chain_id: int, full: bool) -> Json:
    """A block with every field of its header, so that a client can hash the header itself."""
    header = Header.decode(row.header)
    mined = decode_body(row.body)
    transactions: list[Any]
    if full:
        transactions = [
            transaction_json(decode_mined(raw, sender, chain_id), header, row.digest, position)
            for position, (raw, sender) in enumerate(mined)
        ]
    else:
        transactions = [hexed(keccak(raw)) for raw, _ in mined]
    return {
        "hash": hexed(row.digest),
        "parentHash": hexed(header.parent_hash),
        "sha3Uncles": hexed(NO_UNCLES),
        "miner": hexed(header.coinbase),
        "stateRoot": hexed(header.state_root),
        "transactionsRoot": hexed(header.transactions_root),
        "receiptsRoot": hexed(header.receipts_root),
        "logsBloom": hexed(header.bloom),
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "number": hex(header.number),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "extraData": "0x",
        "mixHash": _ZERO_HASH,
        "nonce": "0x0000000000000000",
        "baseFeePerGas": hex(header.base_fee),
        "withdrawalsRoot": hexed(BLANK_ROOT),
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
        "parentBeaconBlockRoot": _ZERO_HASH,
        "requestsHash": hexed(NO_REQUESTS),
        "size": hex(len(row.header) + len(row.body)),
        "uncles": [],
        "withdrawals": [],
        "transactions": transactions,
    }


def transaction_json(
    transaction: Transaction, header: Header | None, block_hash: bytes | None, position: int | None
) -> Json:
    """A transaction; block, hash and position are None while it is queued."""
    price = transaction.max_fee_per_gas if header is None else transaction.price(header.base_fee)
    fields: Json = {
        "blockHash": None if block_hash is None else hexed(block_hash),
        "blockNumber": None if header is None else hex(header.number),
        "transactionIndex": None if position is None else hex(position),
        "hash": hexed(transaction.hash),
        "type": hex(transaction.type_id),
        "chainId": None if transaction.chain_id is None else hex(transaction.chain_id),
        "nonce": hex(transaction.nonce),
        "from": hexed(transaction.sender),
        "to": hexed(transaction.to) if transaction.to else None,
        "value": hex(transaction.value),
        "gas": hex(transaction.gas),
        "gasPrice": hex(price),
        "input": hexed(transaction.data),
        "v": hex(transaction.v),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
    }
    if transaction.type_id != LEGACY:
        fields["yParity"] = hex(transaction.v)
        fields["accessList"] = [
            {"address": hexed(address), "storageKeys": [f"0x{slot:064x}" for slot in slots]}
            for address, slots in transaction.access_list
        ]
    if transaction.type_id not in {LEGACY, ACCESS_LIST}:
        fields["maxFeePerGas"] = hex(transaction.max_fee_per_gas)
        fields["maxPriorityFeePerGas"] = hex(transaction.max_priority_fee_per_gas)
    if transaction.type_id == SET_CODE:
        fields["authorizationList"] = [_authorization_json(grant) for grant in transaction.authorization_list]
    return fields


def _authorization_json(grant: Any) -> Json:
    return {
        "chainId": hex(grant.chain_id),
        "address": hexed(grant.address),
        "nonce": hex(grant.nonce),
        "yParity": hex(grant.y_parity),
        "r": hex(grant.r),
        "s": hex(grant.s),
    }


def receipts_json(row: BlockRow, *, chain_id: int) -> list[Json]:
    """The receipts of a block in order."""
    header = Header.decode(row.header)
    answers: list[Json] = []
    gas_before = log_index = 0
    bodies, receipts = decode_body(row.body), decode_receipts(row.receipts)
    for position, ((raw, sender), receipt) in enumerate(zip(bodies, receipts, strict=True)):
        transaction = decode_mined(raw, sender, chain_id)
        place = _place(row, transaction.hash, position)
        log_place = _log_place(place, header)
        answers.append({
            **place,
            "type": hex(receipt.type_id),
            "status": hex(receipt.status),
            "from": hexed(sender),
            "to": hexed(transaction.to) if transaction.to else None,
            "contractAddress": None if transaction.to else hexed(_created(transaction)),
            "gasUsed": hex(receipt.cumulative_gas - gas_before),
            "cumulativeGasUsed": hex(receipt.cumulative_gas),
            "effectiveGasPrice": hex(transaction.price(header.base_fee)),
            "logsBloom": hexed(receipt.bloom),
            "logs": [_log_json(log, log_place, index) for index, log in enumerate(receipt.logs, log_index)],
        })  # fmt: skip
        gas_before = receipt.cumulative_gas
        log_index += len(receipt.logs)
    return answers


def logs_json(
    row: BlockRow,
    header: Header,
    addresses: frozenset[bytes],
    topics: tuple[frozenset[bytes], ...],
) -> Iterator[Json]:
    """The logs of a block that pass the filter, in order."""
    log_index = 0
    bodies, receipts = decode_body(row.body), decode_receipts(row.receipts)
    for position, (mined, receipt) in enumerate(zip(bodies, receipts, strict=True)):
        place = _log_place(_place(row, keccak(mined.raw), position), header)
        for index, log in enumerate(receipt.logs, log_index):
            if _passes(log, addresses, topics):
                yield _log_json(log, place, index)
        log_index += len(receipt.logs)


def _place(row: BlockRow, digest: bytes, position: int) -> Json:
    return {
        "blockHash": hexed(row.digest),
        "blockNumber": hex(row.number),
        "transactionHash": hexed(digest),
        "transactionIndex": hex(position),
    }


def _passes(log: Any, addresses: frozenset[bytes], topics: tuple[frozenset[bytes], ...]) -> bool:
    if addresses and log[0] not in addresses:
        return False
    found = log[1]
    if len(topics) > len(found):
        return False
    return all(not wanted or topic in wanted for wanted, topic in zip(topics, found, strict=False))


def _log_json(log: Any, place: Json, log_index: int) -> Json:
    return {
        **place,
        "address": hexed(log[0]),
        "topics": [hexed(topic) for topic in log[1]],
        "data": hexed(log[2]),
        "logIndex": hex(log_index),
    }


def _log_place(place: Json, header: Header) -> Json:
    return {**place, "blockTimestamp": hex(header.timestamp), "removed": False}


def _created(transaction: Transaction) -> bytes:
    return keccak(encode([transaction.sender, encode_int(transaction.nonce)]))[12:]
