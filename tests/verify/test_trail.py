"""Reading the trail's files: one spelling for everything, and every other one is said."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.onchain import write_trail
from mereau_verify.report import Finding, Report
from mereau_verify.trail import (
    BalanceLine,
    Operation,
    TrailBatch,
    TrailError,
    batches_and_balances,
    canonical,
    file_digest,
    read_lines,
    read_manifest,
)
from verify.history import WALLETS

WALLET, WORD = "0x" + "a0" * 20, "0x" + "11" * 32
BATCH: dict[str, Any] = {
    "type": "batch", "kind": "issue", "partner": 1, "sequence": 1, "root": WORD, "block": 3, "operations": 1,
}  # fmt: skip
OPERATION: dict[str, Any] = {
    "type": "operation", "index": 0, "id": "op1", "wallet": WALLET, "tokens": 5, "commitment": WORD, "salt": "0x01",
    "record": {"a": [1, {"b": None}]},
}  # fmt: skip
BALANCE: dict[str, Any] = {
    "type": "balance", "wallet": WALLET, "tokens": 5, "available": 5, "held": 0, "lots": 5, "open": 0,
}  # fmt: skip
LINES = {"batch": BATCH, "operation": OPERATION, "balance": BALANCE}
TYPES = {"batch": TrailBatch, "operation": Operation, "balance": BalanceLine}


def read(folder: Path, data: bytes) -> tuple[list[Any], list[Finding]]:
    (folder / "trail.jsonl").write_bytes(data)
    report = Report()
    return list(read_lines(folder, report)), report.findings


def line_of(line: dict[str, Any]) -> bytes:
    return canonical(line).encode() + b"\n"


@pytest.mark.parametrize("name", LINES)
def test_each_type_is_read(name: str, tmp_path: Path) -> None:
    items, findings = read(tmp_path, line_of(LINES[name]))
    assert findings == []
    assert [(item.line, type(item)) for item in items] == [(1, TYPES[name])]


def test_fields_are_read_as_bytes(tmp_path: Path) -> None:
    (batch, operation), findings = read(tmp_path, line_of(BATCH) + line_of(OPERATION))
    assert findings == []
    assert (batch.root, batch.expected) == (bytes([0x11]) * 32, 1)
    assert (operation.wallet, operation.salt, operation.record) == (WALLETS[0], b"\x01", {"a": [1, {"b": None}]})


VALUES: list[object] = [None, True, -1, 1.5, 2**64, "", "x", "0x", "0x1", "0xzz", "0x" + "11" * 33, [], {}, [1], "0X11"]
TEXTS = ("", "x", "0x", "0x1", "0xzz", "0x" + "11" * 33, "0X11")
ACCEPTED: dict[str, list[object]] = {
    "partner": [None], "sequence": [None], "root": [None], "record": [None, {}], "open": [-1], "id": list(TEXTS),
    "salt": [None, "0x", "0x" + "11" * 33],
}  # fmt: skip
MALFORMED = [
    (name, field, value)
    for name, line in LINES.items()
    for field in line
    for value in VALUES
    if value not in ACCEPTED.get(field, [])
]


def test_a_malformed_value_is_a_finding(tmp_path: Path) -> None:
    """Every field of every type with every value that it must not have."""
    assert len(MALFORMED) > 250
    for name, field, value in MALFORMED:
        items, (finding,) = read(tmp_path, line_of(LINES[name] | {field: value}))
        assert (items, finding.rule, finding.place) == ([], "format", "line 1"), (name, field, value)


@pytest.mark.parametrize("name", LINES)
def test_a_key_too_few_or_too_many_is_a_finding(name: str, tmp_path: Path) -> None:
    for field in LINES[name]:
        shorter = {key: value for key, value in LINES[name].items() if key != field}
        assert len(read(tmp_path, line_of(shorter))[1]) == 1
    assert len(read(tmp_path, line_of(LINES[name] | {"more": 1}))[1]) == 1


HONEST = line_of(BALANCE)
SPELLINGS: dict[str, bytes] = {
    "CRLF": HONEST[:-1] + b"\r\n", "BOM": b"\xef\xbb\xbf" + HONEST, "no newline": HONEST[:-1],
    "trailing space": HONEST[:-1] + b" \n", "leading space": b" " + HONEST, "spaces": HONEST.replace(b":", b": "),
    "duplicate key": HONEST.replace(b'"held":0', b'"held":0,"held":0'), "empty line": b"\n", "a comment": b"# x\n",
    "keys unsorted": json.dumps(BALANCE, separators=(",", ":")).encode() + b"\n", "negative zero":
    HONEST.replace(b'"held":0', b'"held":-0'), "exponent": HONEST.replace(b'"held":0', b'"held":0e0'),
    "huge int": HONEST.replace(b'"held":0', b'"held":' + b"9" * 5000), "not ASCII": '{"é":1}\n'.encode(),
    "not UTF-8": b"\xff\n", "null": b"null\n", "number": b"7\n", "list": b"[]\n", "NaN": b"NaN\n",
    "escaped slash": line_of(OPERATION | {"id": "a/b"}).replace(b"/", b"\\/"), "NUL": HONEST[:-1] + b"\0\n",
    "NaN inside": line_of(OPERATION).replace(b"null", b"NaN"), "capital escape":
    line_of(OPERATION | {"id": "\xe9"}).replace(b"\\u00e9", b"\\u00E9"), "two values": HONEST[:-1] + HONEST,
    "infinity": line_of(OPERATION).replace(b"null", b"-Infinity"), "half a pair": line_of(OPERATION | {"id": "\udc00"}),
    "spaced hex": HONEST.replace(b"0xa0a0", b"0xa0 a0"),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_another_spelling_is_one_finding(spelling: bytes, tmp_path: Path) -> None:
    """And the lines around it are read."""
    items, findings = read(tmp_path, HONEST + spelling)
    assert [item.line for item in items] == [1]
    assert [(finding.rule, finding.place, finding.expected) for finding in findings] == [
        ("format", "line 2", "a canonical trail line")
    ]
    assert len(findings[0].found) <= 80


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert read(tmp_path, b"") == ([], [])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_the_canonical_form_is_a_fixed_point(value: object) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text
    assert json.loads(text) == value
    assert text.isascii()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_what_json_cannot_say_has_no_canonical_form(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


@given(st.binary(max_size=60))
def test_any_bytes_are_lines_or_findings(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    items, findings = read(tmp_path_factory.getbasetemp(), data)
    assert items == []
    assert len(findings) == data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))


def test_batches_gather_their_operations(tmp_path: Path) -> None:
    orphan = line_of(OPERATION)
    (tmp_path / "trail.jsonl").write_bytes(
        orphan + line_of(BATCH) + line_of(OPERATION) * 2 + line_of(BATCH) + HONEST + orphan + line_of(BATCH)
    )
    report = Report()
    items = list(batches_and_balances(tmp_path, report))
    kinds = [(type(item), len(item.operations) if isinstance(item, TrailBatch) else 0) for item in items]
    assert kinds == [(TrailBatch, 2), (TrailBatch, 0), (BalanceLine, 0), (TrailBatch, 0)]
    assert report.findings == [
        Finding("format", f"line {line}", "a batch before its operations", "an operation") for line in (1, 7)
    ]


def test_places_name_the_line_and_the_order() -> None:
    assert TrailBatch(7, "issue", 3, 9, None, 1, 0).place == "line 7 (issue 3/9)"
    assert TrailBatch(7, "redeem", None, None, None, 1, 0).place == "line 7 (redeem)"


MANIFEST: dict[str, Any] = {
    "format": "mereau-trail", "version": 1,
    "chain": {"chain_id": 1, "genesis_hash": WORD, "contract": WALLET, "deployment_block": 1, "deployment_hash": WORD},
    "head": {"number": 2, "hash": WORD},
    "totals": {"issued": 0, "reversed": 0, "redeemed": 0, "expired": 0, "supply": 0},
}  # fmt: skip


def manifest_text(folder: Path) -> bytes:
    return (write_trail(folder, [], MANIFEST) / "manifest.json").read_bytes()


def findings_of(folder: Path, data: bytes) -> list[Finding]:
    (folder / "manifest.json").write_bytes(data)
    report = Report()
    read_manifest(folder, report)
    return report.findings


def test_a_manifest_is_read(tmp_path: Path) -> None:
    assert findings_of(tmp_path, manifest_text(tmp_path)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n", b"\r\n"),
        (b"\n", b""),
        (b"\n", b"\n\n"),
        (b'"version":1', b'"version": 1'),
        (b"\n", b" \n"),
        (b"{", b" {"),
    ],
)
def test_a_manifest_in_another_spelling(old: bytes, new: bytes, tmp_path: Path) -> None:
    data = manifest_text(tmp_path).replace(old, new, 1)
    assert findings_of(tmp_path, data) == [Finding("format", "manifest.json", "canonical JSON", "another spelling")]


def test_a_manifest_whose_digest_is_anothers(tmp_path: Path) -> None:
    data = manifest_text(tmp_path)
    (finding,) = findings_of(tmp_path, data.replace(b'"issued":0', b'"issued":1'))
    assert (finding.rule, finding.place, finding.found) == ("digest", "manifest.json", json.loads(data)["digest"])


@pytest.mark.parametrize("value", [None, True, -1, 1.0, 2**64, "1", [], {}])
@pytest.mark.parametrize(
    "path", ["version", "chain", "head", "totals", "counts", "chain.chain_id", "head.number", "totals.supply"]
)
def test_a_manifest_of_another_form_is_none(path: str, value: object, tmp_path: Path) -> None:
    manifest = json.loads(manifest_text(tmp_path))
    *outer, name = path.split(".")
    (manifest[outer[0]] if outer else manifest)[name] = value
    with pytest.raises(TrailError, match=r"lacks or misstates|no manifest"):
        findings_of(tmp_path, canonical(manifest).encode() + b"\n")


@pytest.mark.parametrize("contract", ["", "0x12", "0xzz", "0x" + "A0" * 20, "a0" * 20, 7, None])
def test_a_contract_is_an_address(contract: object, tmp_path: Path) -> None:
    manifest = json.loads(manifest_text(tmp_path))
    manifest["chain"]["contract"] = contract
    with pytest.raises(TrailError, match="chain contract"):
        findings_of(tmp_path, canonical(manifest).encode() + b"\n")


@pytest.mark.parametrize("part", ["chain", "head", "totals", "counts", ""])
def test_a_word_more_in_the_manifest(part: str, tmp_path: Path) -> None:
    manifest = json.loads(manifest_text(tmp_path))
    (manifest[part] if part else manifest)["more"] = 1
    with pytest.raises(TrailError, match=part or "keys"):
        findings_of(tmp_path, canonical(manifest).encode() + b"\n")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"7", b"\xff", b"\xef\xbb\xbf{}", b'{"format":"x"}', b"NaN", '{"é":1}'.encode()]
)
def test_what_is_no_manifest(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(TrailError, match="manifest"):
        findings_of(tmp_path, data)


def test_folders_in_place_of_files(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    (tmp_path / "trail.jsonl").mkdir()
    with pytest.raises(TrailError, match="cannot be read"):
        read_manifest(tmp_path, Report())
    with pytest.raises(TrailError, match="is not there"):
        file_digest(tmp_path)


def test_a_file_that_breaks_under_the_reader(tmp_path: Path) -> None:
    """A regular file whose first page cannot be read, as on a failing disk."""
    (tmp_path / "trail.jsonl").symlink_to("/proc/self/mem")
    with pytest.raises(TrailError, match="cannot be read"):
        file_digest(tmp_path)


@given(st.binary(max_size=200))
def test_the_digest_is_sha256(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "trail.jsonl").write_bytes(data)
    assert file_digest(folder) == hashlib.sha256(data).hexdigest()
