"""The methods that read blocks, transactions, receipts, logs and state."""

from collections.abc import Iterable
from typing import Any

from mereau.chain.embedded import params
from mereau.chain.embedded.blocks import Header, bloom_bits, decode_body, next_base_fee
from mereau.chain.embedded.chain import EmbeddedChain
from mereau.chain.embedded.encoding import (
    Json,
    block_json,
    hexed,
    logs_json,
    receipts_json,
    transaction_json,
)
from mereau.chain.embedded.errors import ChainError, InvalidParamsError, LimitExceededError
from mereau.chain.embedded.proofs import proof_json
from mereau.chain.embedded.registry import Registry
from mereau.chain.embedded.selection import header_of, number_of, row_of
from mereau.chain.embedded.store import BlockRow
from mereau.chain.embedded.transactions import decode_mined

LOGS_MAX = 20_000
SLOTS_MAX = 1_000
FEE_HISTORY_MAX = 1_024
TIP_WEI = 1_000_000_000
_HASH_LENGTH = 66  # 0x and 64 digits
CLIENT_VERSION = "mereau-embedded/1/py-evm-prague"

registry = Registry()
method = registry.method


@method("web3_clientVersion")
def client_version(chain: EmbeddedChain) -> str:
    return CLIENT_VERSION


@method("net_version")
def net_version(chain: EmbeddedChain) -> str:
    return str(chain.config.chain_id)


@method("eth_chainId")
def chain_id(chain: EmbeddedChain) -> str:
    return hex(chain.config.chain_id)


@method("eth_blockNumber")
def block_number(chain: EmbeddedChain) -> str:
    return hex(chain.head.header.number)


@method("eth_syncing")
def syncing(chain: EmbeddedChain) -> bool:
    return False


@method("eth_accounts")
def accounts(chain: EmbeddedChain) -> list[str]:
    return []


@method("eth_gasPrice")
def gas_price(chain: EmbeddedChain) -> str:
    return hex(next_base_fee(chain.head.header) + TIP_WEI)


@method("eth_maxPriorityFeePerGas")
def max_priority_fee(chain: EmbeddedChain) -> str:
    return hex(TIP_WEI)


@method("eth_feeHistory")
def fee_history(chain: EmbeddedChain, count: Any, newest: Any, percentiles: Any = None) -> Json:
    """Base fees with the next block's at the end. Every percentile is the tip that this chain suggests."""
    wanted = count if isinstance(count, int) and not isinstance(count, bool) else params.quantity(count)
    rewards = params.sequence(percentiles or [])
    last = min(number_of(chain, newest), chain.head.header.number)
    first = max(last - min(max(wanted, 0), FEE_HISTORY_MAX) + 1, 0)
    headers = [Header.decode(row.header) for row in chain.store.blocks(first, last)]
    fees = [header.base_fee for header in headers]
    answer: Json = {
        "oldestBlock": hex(first),
        "baseFeePerGas": [hex(fee) for fee in [*fees, *(next_base_fee(header) for header in headers[-1:])]],
        "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        "baseFeePerBlobGas": ["0x1"] * (len(headers) + 1),
        "blobGasUsedRatio": [0.0] * len(headers),
    }
    if rewards:
        answer["reward"] = [[hex(TIP_WEI)] * len(rewards) for _ in headers]
    return answer


@method("eth_getBalance")
def balance(chain: EmbeddedChain, address: Any, block: Any = "latest") -> str:
    return hex(chain.world_at(header_of(chain, block)).get_balance(params.address(address)))


@method("eth_getTransactionCount")
def transaction_count(chain: EmbeddedChain, address: Any, block: Any = "latest") -> str:
    sender = params.address(address)
    nonce = chain.world_at(header_of(chain, block)).get_nonce(sender)
    return hex(chain.pool.pending_nonce(sender, nonce) if block == "pending" else nonce)


@method("eth_getCode")
def code(chain: EmbeddedChain, address: Any, block: Any = "latest") -> str:
    return hexed(chain.world_at(header_of(chain, block)).get_code(params.address(address)))


@method("eth_getStorageAt")
def storage_at(chain: EmbeddedChain, address: Any, slot: Any, block: Any = "latest") -> str:
    world = chain.world_at(header_of(chain, block))
    return f"0x{world.get_storage(params.address(address), params.slot(slot)):064x}"


@method("eth_getProof")
def proof(chain: EmbeddedChain, address: Any, slots: Any, block: Any = "latest") -> Json:
    keys = [params.slot(slot) for slot in params.sequence(slots)]
    if len(keys) > SLOTS_MAX:
        raise LimitExceededError(f"more than {SLOTS_MAX} storage keys in one proof")
    return proof_json(chain.store, header_of(chain, block), params.address(address), keys)


@method("eth_getBlockByNumber")
def block_by_number(chain: EmbeddedChain, block: Any, full: Any = False) -> Json | None:
    return _block(chain, chain.store.block(min(number_of(chain, block), 2**62)), full)


@method("eth_getBlockByHash")
def block_by_hash(chain: EmbeddedChain, digest: Any, full: Any = False) -> Json | None:
    return _block(chain, chain.store.block_by_digest(params.digest(digest)), full)


@method("eth_getBlockTransactionCountByNumber")
def block_transaction_count(chain: EmbeddedChain, block: Any) -> str | None:
    row = row_of(chain, block)
    return None if row is None else hex(len(decode_body(row.body)))


@method("eth_getTransactionByHash")
def transaction_by_hash(chain: EmbeddedChain, digest: Any) -> Json | None:
    key = params.digest(digest)
    found = _located(chain, key)
    if found is None:
        queued = chain.pool.get(key)
        return None if queued is None else transaction_json(queued, None, None, None)
    row, position = found
    raw, sender = decode_body(row.body)[position]
    mined = decode_mined(raw, sender, chain.config.chain_id)
    return transaction_json(mined, Header.decode(row.header), row.digest, position)


@method("eth_getTransactionReceipt")
def transaction_receipt(chain: EmbeddedChain, digest: Any) -> Json | None:
    found = _located(chain, params.digest(digest))
    if found is None:
        return None
    row, position = found
    return receipts_json(row, chain_id=chain.config.chain_id)[position]


@method("eth_getBlockReceipts")
def block_receipts(chain: EmbeddedChain, block: Any) -> list[Json] | None:
    is_hash = isinstance(block, str) and len(block) == _HASH_LENGTH
    row = row_of(chain, {"blockHash": block} if is_hash else block)
    return None if row is None else receipts_json(row, chain_id=chain.config.chain_id)


@method("eth_getLogs")
def logs(chain: EmbeddedChain, criteria: Any) -> list[Json]:
    """The logs that pass the filter. More than LOGS_MAX are refused as a whole: ask for fewer blocks."""
    fields = params.mapping(criteria)
    unknown = sorted(set(fields) - {"fromBlock", "toBlock", "blockHash", "address", "topics"})
    if unknown:
        raise InvalidParamsError(f"unknown field {unknown[0]!r} in the filter")
    addresses, topics = params.addresses(fields.get("address")), params.topics(fields.get("topics"))
    wanted = [[bloom_bits(member) for member in members] for members in (addresses, *topics) if members]
    found: list[Json] = []
    for row in _range(chain, fields):
        header = Header.decode(row.header)
        bloom = int.from_bytes(header.bloom, "big")
        if bloom and all(any(bloom & bits == bits for bits in members) for members in wanted):
            found.extend(logs_json(row, header, addresses, topics))
        if len(found) > LOGS_MAX:
            raise LimitExceededError(f"query returned more than {LOGS_MAX} results: ask for fewer blocks")
    return found


def _range(chain: EmbeddedChain, fields: Json) -> Iterable[BlockRow]:
    if fields.get("blockHash") is not None:
        if fields.get("fromBlock") is not None or fields.get("toBlock") is not None:
            raise InvalidParamsError("blockHash stands alone, without fromBlock and toBlock")
        row = chain.store.block_by_digest(params.digest(fields["blockHash"]))
        if row is None:
            raise ChainError("unknown block")
        return [row]
    first, last = (number_of(chain, fields.get(name)) for name in ("fromBlock", "toBlock"))
    if first > last and first <= chain.head.header.number:
        raise InvalidParamsError("invalid block range params")
    return chain.store.blocks(min(first, 2**62), min(last, chain.head.header.number))


def _block(chain: EmbeddedChain, row: BlockRow | None, full: Any) -> Json | None:
    wanted = params.boolean(full)
    return None if row is None else block_json(row, chain_id=chain.config.chain_id, full=wanted)


def _located(chain: EmbeddedChain, digest: bytes) -> tuple[BlockRow, int] | None:
    location = chain.store.location(digest)
    if location is None:
        return None
    row = chain.store.block(location[0])
    return None if row is None else (row, location[1])
