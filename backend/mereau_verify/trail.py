"""Reading an exported trail (format 1): a manifest and JSON Lines, each in its one canonical spelling."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mereau_verify.report import Report

MANIFEST: Final = "manifest.json"
LINES: Final = "trail.jsonl"
FORMAT: Final = "mereau-trail"
VERSION: Final = 1

KEYS: Final[dict[str, dict[str, type]]] = {
    "batch": {
        "type": str, "kind": str, "partner": int, "sequence": int, "root": str, "block": int, "operations": int,
    },
    "operation": {
        "type": str, "index": int, "id": str, "wallet": str, "tokens": int, "commitment": str, "salt": str,
        "record": dict,
    },
    "balance": {
        "type": str, "wallet": str, "tokens": int, "available": int, "held": int, "lots": int, "open": int,
    },
}  # fmt: skip
MANIFEST_KEYS: Final[dict[str, type | dict[str, type]]] = {
    "format": str,
    "version": int,
    "chain": {
        "chain_id": int, "genesis_hash": str, "contract": str, "deployment_block": int, "deployment_hash": str,
    },
    "head": {"number": int, "hash": str},
    "totals": {"issued": int, "reversed": int, "redeemed": int, "expired": int, "supply": int},
    "counts": {"batches": int, "operations": int, "balances": int},
    "lines_sha256": str,
    "digest": str,
}  # fmt: skip
KINDS: Final = {"issue", "reverse", "expire", "redeem"}
UNSIGNED_LIMIT: Final = 2**64
"""Every number of format 1 is smaller than this."""
ADDRESS_SIZE: Final = 20
NULLABLE: Final = {"partner", "sequence", "root", "salt", "record"}
SIGNED: Final = {"open"}


class TrailError(Exception):
    """There is no readable trail at the place named."""


@dataclass(slots=True)
class Operation:
    """One operation of a batch; `line` is its line in the file, from 1."""

    line: int
    index: int
    id: str
    wallet: bytes
    tokens: int
    commitment: bytes
    salt: bytes | None
    record: dict[str, Any] | None


@dataclass(slots=True)
class TrailBatch:
    """A sealed batch as the trail tells it; for redemptions partner, sequence and root are None."""

    line: int
    kind: str
    partner: int | None
    sequence: int | None
    root: bytes | None
    block: int
    expected: int
    operations: list[Operation] = field(default_factory=list)

    @property
    def place(self) -> str:
        name = f"{self.kind} {self.partner}/{self.sequence}" if self.sequence is not None else self.kind
        return f"line {self.line} ({name})"


@dataclass(slots=True)
class BalanceLine:
    """What the operator's tables say of one wallet at the trail's head."""

    line: int
    wallet: bytes
    tokens: int
    available: int
    held: int
    lots: int
    open: int


def canonical(value: object) -> str:
    """The one spelling of a JSON value: sorted keys, no spaces, ASCII. ValueError where JSON has none (NaN)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _misfits(keys: dict[str, Any], value: object, place: str) -> Iterator[str]:
    """Places where the manifest is not of the form that `keys` describes."""
    if not isinstance(value, dict) or value.keys() != keys.keys():
        yield place or "keys"
        return
    for name, kind in keys.items():
        if isinstance(kind, dict):
            yield from _misfits(kind, value[name], f"{place}{name}")
        elif value[name] is None or not _fits(name, value[name], kind):
            yield f"{place} {name}".strip()


def read_manifest(folder: Path, report: Report) -> dict[str, Any]:
    """The manifest, its spelling and its digests checked. Raises TrailError where there is none to read."""
    path = folder / MANIFEST
    try:
        text = path.read_bytes().decode("ascii")
        manifest = json.loads(text)
        spelling = canonical(manifest) + "\n"
    except FileNotFoundError as error:
        raise TrailError(f"{path} is not there; name the folder that `mereau trail export` wrote") from error
    except (OSError, ValueError, RecursionError) as error:
        raise TrailError(f"{path} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        raise TrailError(f"{path} is no manifest of {FORMAT} {VERSION}")
    misfits = sorted(_misfits(MANIFEST_KEYS, manifest, ""))
    if not misfits and _binary_or_none(manifest["chain"]["contract"], ADDRESS_SIZE) is None:
        misfits = ["chain contract"]
    if misfits:
        raise TrailError(f"{path} lacks or misstates {', '.join(misfits)}; export the trail again")
    if text != spelling:
        report.add("format", MANIFEST, "canonical JSON", "another spelling")
    unsigned = {key: value for key, value in manifest.items() if key != "digest"}
    digest = hashlib.sha256(canonical(unsigned).encode()).hexdigest()
    if manifest.get("digest") != digest:
        report.add("digest", MANIFEST, digest, str(manifest.get("digest")))
    return manifest


def file_digest(folder: Path) -> str:
    """SHA-256 of the lines file, streamed. Raises TrailError where there is none."""
    path = folder / LINES
    if not path.is_file():
        raise TrailError(f"{path} is not there; export the trail again")
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise TrailError(f"{path} cannot be read: {error}") from error


def _fits(name: str, value: object, kind: type) -> bool:
    if value is None:
        return name in NULLABLE
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    if isinstance(value, int):
        return abs(value) < UNSIGNED_LIMIT and (value >= 0 or name in SIGNED)
    return True


def _require_form(item: object, text: str) -> dict[str, Any]:
    """The item, if it is a line of a known type in its one spelling; ValueError else."""
    keys = KEYS.get(str(item.get("type"))) if isinstance(item, dict) else None
    if (
        keys is None
        or not isinstance(item, dict)
        or item.keys() != keys.keys()
        or not all(_fits(name, value, keys[name]) for name, value in item.items())
        or text != canonical(item) + "\n"
    ):
        raise ValueError("not in canonical form")
    return item


def _binary(text: str | None, length: int | None = None) -> bytes | None:
    if text is None:
        return None
    data = bytes.fromhex(text[2:])
    if text != f"0x{data.hex()}" or (length is not None and len(data) != length):
        raise ValueError(text)
    return data


def _binary_or_none(text: str, length: int) -> bytes | None:
    try:
        return _binary(text, length)
    except ValueError:
        return None


def _parse(number: int, item: dict[str, Any]) -> TrailBatch | Operation | BalanceLine:
    match item["type"]:
        case "batch":
            root = _binary(item["root"], 32)
            if item["kind"] not in KINDS:
                raise ValueError("no known kind of batch")
            return TrailBatch(
                number,
                item["kind"],
                item["partner"],
                item["sequence"],
                root,
                item["block"],
                item["operations"],
            )
        case "operation":
            wallet, commitment = _binary(item["wallet"], ADDRESS_SIZE), _binary(item["commitment"], 32)
            item["id"].encode()
            return Operation(
                number, item["index"], item["id"], wallet or b"", item["tokens"], commitment or b"",
                _binary(item["salt"]), item["record"],
            )  # fmt: skip
        case _:
            wallet = _binary(item["wallet"], ADDRESS_SIZE)
            return BalanceLine(
                number,
                wallet or b"",
                item["tokens"],
                item["available"],
                item["held"],
                item["lots"],
                item["open"],
            )


def read_lines(folder: Path, report: Report) -> Iterator[TrailBatch | Operation | BalanceLine]:
    """Every line that can be read, in order; each that cannot is a finding of rule `format`."""
    with (folder / LINES).open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            try:
                text = raw.decode("ascii")
                yield _parse(number, _require_form(json.loads(text), text))
            except (ValueError, RecursionError) as error:
                report.add("format", f"line {number}", "a canonical trail line", str(error)[:80])


def batches_and_balances(folder: Path, report: Report) -> Iterator[TrailBatch | BalanceLine]:
    """Batches with all their operations, then balances, as the file has them."""
    batch: TrailBatch | None = None
    for item in read_lines(folder, report):
        if isinstance(item, Operation):
            if batch is None:
                report.add("format", f"line {item.line}", "a batch before its operations", "an operation")
            else:
                batch.operations.append(item)
            continue
        if batch is not None:
            yield batch
        batch = item if isinstance(item, TrailBatch) else None
        if isinstance(item, BalanceLine):
            yield item
    if batch is not None:
        yield batch
