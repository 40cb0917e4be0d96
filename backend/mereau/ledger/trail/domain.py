"""The trail's format 1: canonical JSON Lines and a manifest that pins them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mereau.chain.queries_trail import ExecutedBatch, ExecutedOrder, TrailHead

FORMAT: Final = "mereau-trail"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class DisclosedRecord:
    """An entry's canonical record with its salt; both are None once the member was erased."""

    record: dict[str, Any] | None
    salt: bytes | None


@dataclass(frozen=True, slots=True)
class WalletFigures:
    """What the ledger says of one wallet, in tokens; `lots` is what its active lots hold."""

    wallet: bytes
    available: int
    held: int
    lots: int


ERASED: Final = DisclosedRecord(None, None)


def canonical(value: object) -> str:
    """The one spelling of a JSON value: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def hex_of(data: bytes | None) -> str | None:
    return None if data is None else f"0x{data.hex()}"


def batch_line(batch: ExecutedBatch) -> dict[str, object]:
    """The line that heads a batch; its operations follow."""
    return {
        "type": "batch",
        "kind": batch.kind,
        "partner": batch.partner,
        "sequence": batch.sequence,
        "root": hex_of(batch.root),
        "block": batch.block,
        "operations": len(batch.orders),
    }


def operation_line(order: ExecutedOrder, disclosed: DisclosedRecord) -> dict[str, object]:
    """One operation: what the leaf binds, and the record behind the commitment."""
    return {
        "type": "operation",
        "index": order.index,
        "id": order.id,
        "wallet": hex_of(order.wallet),
        "tokens": order.tokens,
        "commitment": hex_of(order.commitment),
        "salt": hex_of(disclosed.salt),
        "record": disclosed.record,
    }


def balance_line(figures: WalletFigures, *, mirrored: int, open_tokens: int) -> dict[str, object]:
    """The tables' view of one wallet: mirrored + open = available + held = lots."""
    return {
        "type": "balance",
        "wallet": hex_of(figures.wallet),
        "tokens": mirrored,
        "available": figures.available,
        "held": figures.held,
        "lots": figures.lots,
        "open": open_tokens,
    }


def manifest(
    head: TrailHead, *, totals: Mapping[str, int], counts: Mapping[str, int], lines_sha256: str
) -> dict[str, object]:
    """The manifest, with the digest over its own canonical spelling."""
    content: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "chain": {
            "chain_id": head.chain_id,
            "genesis_hash": hex_of(head.genesis_hash),
            "contract": hex_of(head.contract),
            "deployment_block": head.deployment_block,
            "deployment_hash": hex_of(head.deployment_hash),
        },
        "head": {"number": head.number, "hash": hex_of(head.hash)},
        "totals": {**totals, "supply": head.supply},
        "counts": dict(counts),
        "lines_sha256": lines_sha256,
    }
    return {**content, "digest": hashlib.sha256(canonical(content).encode()).hexdigest()}


def merge_wallets(
    figures: Sequence[WalletFigures], mirrored: Mapping[bytes, int], open_tokens: Mapping[bytes, int]
) -> list[dict[str, object]]:
    """A line for each wallet that the ledger or the chain knows, in the order of addresses."""
    known = {item.wallet: item for item in figures}
    return [
        balance_line(
            known.get(wallet, WalletFigures(wallet, 0, 0, 0)),
            mirrored=mirrored.get(wallet, 0),
            open_tokens=open_tokens.get(wallet, 0),
        )
        for wallet in sorted(known.keys() | mirrored.keys() | open_tokens.keys())
    ]
