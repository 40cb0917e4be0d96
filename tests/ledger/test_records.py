"""Version 1 of the record, by literal examples. They never change: commitments to such bytes are on chains."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mereau.ledger import domain
from mereau.ledger.domain import Line, Record

SALT = bytes(range(16))
BEHIND = timezone(timedelta(hours=-5, minutes=-45))
AT = datetime(2026, 3, 14, 15, 9, 26, 535_897, tzinfo=UTC)
WALLET = bytes.fromhex("52908400098527886e0f7030069857d2e4169ee7")

CREDIT: dict[str, Any] = {
    "id": "ent_01JQZ5V8E4T9S6M3B7C2D1F0GH",
    "kind": "issue",
    "partner_number": 7,
    "wallet": WALLET,
    "tokens": 120,
    "rule": "base:3",
    "reason_code": "sale",
    "document": bytes.fromhex("c0ffee" + "00" * 29),
    "occurred_at": AT,
    "expires_at": datetime(2027, 3, 14, tzinfo=UTC),
}
HEAD = b'{"at":"2026-03-14T15:09:26.535897Z","document":"0xc0ffee' + b"00" * 29 + b'",'
TAIL = b'"v":1,"wallet":"0x52908400098527886e0f7030069857d2e4169ee7"}'
ID = b'"id":"ent_01JQZ5V8E4T9S6M3B7C2D1F0GH",'

LITERALS: list[tuple[dict[str, Any], bytes, str]] = [
    (
        {},
        HEAD + b'"expires_at":"2027-03-14T00:00:00.000000Z",' + ID
        + b'"kind":"issue","partner":7,"reason":"sale","rule":"base:3","tokens":120,' + TAIL,
        "ISSUE",
    ),
    (
        {"kind": "expire", "partner_number": None, "rule": None, "reason_code": "expiry", "expires_at": None},
        HEAD + b'"expires_at":null,' + ID
        + b'"kind":"expire","partner":null,"reason":"expiry","rule":null,"tokens":120,' + TAIL,
        "EXPIRE",
    ),
    (
        {"kind": "redeem", "rule": None, "reason_code": "redemption", "expires_at": None, "tokens": 2**53 - 1},
        HEAD + b'"expires_at":null,' + ID
        + b'"kind":"redeem","partner":7,"reason":"redemption","rule":null,"tokens":9007199254740991,' + TAIL,
        "REDEEM",
    ),
    (
        {"kind": "reverse", "reason_code": "return", "expires_at": None, "rule": 'b"\\\u00e9\u2603\U0001f600/\n'},
        HEAD + b'"expires_at":null,' + ID
        + b'"kind":"reverse","partner":7,"reason":"return",'
        + b'"rule":"b\\"\\\\\\u00e9\\u2603\\ud83d\\ude00/\\n","tokens":120,' + TAIL,
        "REVERSE",
    ),
]  # fmt: skip

COMMITMENTS = {
    "ISSUE": "91f7ddb983b7a6d2813e777d9b1c28f6d5d93e1b79fb8ad551a27f7932713360",
    "EXPIRE": "0471c240671ea4e21d035a6a440c051bf1d0061585b3464b29070d985ca68fae",
    "REDEEM": "65179afb5d1a754b3c3d8f02f7eb9626b7d50f8f43e5af78edf106e677bddda5",
    "REVERSE": "cfe4624943992980cb6f3aaf438a04c86e1e441b57e192b16606afbfde214e5e",
}
"""keccak256 of the salt and the bytes above, computed once by another library."""


@pytest.mark.parametrize(("changes", "encoded", "name"), LITERALS)
def test_the_bytes_of_version_1(changes: dict[str, Any], encoded: bytes, name: str) -> None:
    assert domain.record_bytes(Record(**CREDIT | changes)) == encoded


@pytest.mark.parametrize(("changes", "encoded", "name"), LITERALS)
def test_the_commitments_of_version_1(changes: dict[str, Any], encoded: bytes, name: str) -> None:
    assert domain.commitment(SALT, encoded).hex() == COMMITMENTS[name]


@pytest.mark.parametrize("name", sorted(CREDIT))
def test_every_field_changes_the_commitment(name: str) -> None:
    other: dict[str, Any] = {
        "id": "ent_01JQZ5V8E4T9S6M3B7C2D1F0GJ", "kind": "reverse", "partner_number": 8, "wallet": bytes(20),
        "tokens": 121, "rule": None, "reason_code": "bonus", "document": bytes(32),
        "occurred_at": AT + timedelta(microseconds=1), "expires_at": None,
    }  # fmt: skip
    before, after = (domain.record_bytes(Record(**CREDIT | change)) for change in ({}, {name: other[name]}))
    assert before != after
    assert domain.commitment(SALT, before) != domain.commitment(SALT, after)


def test_another_salt_is_another_commitment() -> None:
    record = domain.record_bytes(Record(**CREDIT))
    assert len({domain.commitment(bytes([index]) * 16, record) for index in range(8)}) == 8


def test_a_record_is_the_canonical_spelling_of_itself() -> None:
    """Whoever reads it with any JSON library and spells it canonically gets the committed bytes."""
    for changes, encoded, _ in LITERALS:
        read = json.loads(domain.record_bytes(Record(**CREDIT | changes)))
        assert json.dumps(read, sort_keys=True, separators=(",", ":")).encode() == encoded
        assert set(read) == {
            "at", "document", "expires_at", "id", "kind", "partner", "reason", "rule", "tokens", "v", "wallet",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("at", "spelt"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00.000000Z"),
        (datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "2026-01-01T00:00:00.000001Z"),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2026-01-01T00:00:00.000000Z"),
        (datetime(2025, 12, 31, 18, 15, tzinfo=BEHIND), "2026-01-01T00:00:00.000000Z"),
        (datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC), "2024-02-29T23:59:59.999999Z"),
    ],
)  # fmt: skip
def test_instants_are_spelt_in_utc_with_six_decimals(at: datetime, spelt: str) -> None:
    assert domain.instant_text(at) == spelt


DOCUMENTS = {
    "SALE": "540e210a4b2236a9b86bffd53feacb8db768a228eb7ada3c83c250868b9b61b2",
    "RETURN": "3b04e48bc3956157e0c38986e75dd9b2d35aab1e81f45498152a30c8dd303b95",
    "REDEMPTION": "edffe4d6ad77b605c1d66b7aeaed8917c0d077b3492b04e285baff4d8e58b2de",
}


@pytest.mark.parametrize(
    ("source_id", "reference", "digest"),
    [
        ("sal_01JQ", "till 4, receipt 17", "SALE"),
        ("sal_99ZZ", "till 4, receipt 17", "SALE"),
        ("ret_01JQ", "till 4, receipt 17", "RETURN"),
        ("red_01JQ", "caf\u00e9", "REDEMPTION"),
    ],
)
def test_documents_of_version_1(source_id: str, reference: str, digest: str) -> None:
    """The kind and the partner's own number of the document, not our id of it."""
    assert domain.document_hash(SALT, source_id, reference).hex() == DOCUMENTS[digest]


def a_line(**changes: Any) -> Line:
    fields: dict[str, Any] = {
        "id": CREDIT["id"], "member_id": "mem_1", "partner_id": "par_1", "staff_id": "stf_1", "kind": "issue",
        "state": "accepted", "tokens": 120, "source_id": "sal_1", "source_reference": "17", "rule": "base:3",
        "reason_code": "sale", "wallet": WALLET, "document_salt": SALT, "record_salt": SALT[::-1],
        "occurred_at": AT, "activates_at": AT,
    }  # fmt: skip
    return Line(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"member_id": "mem_2"}, True),
        ({"partner_id": "par_2"}, True),
        ({"staff_id": None}, True),
        ({"state": "pending"}, True),
        ({"activates_at": AT + timedelta(days=14)}, True),
        ({"source_id": "sal_2"}, True),
        ({"source_id": "ret_1"}, False),
        ({"source_reference": "18"}, False),
        ({"document_salt": bytes(16)}, False),
        ({"record_salt": bytes(16)}, False),
        ({"tokens": 1}, False),
        ({"wallet": bytes(20)}, False),
        ({"occurred_at": AT + timedelta(days=1)}, False),
    ],
)
def test_a_lines_commitment_covers_its_public_content_alone(changes: dict[str, Any], same: bool) -> None:
    """Our own ids, people and the ledger's states are no part of what the chain is told."""
    made = [domain.line_commitment(a_line(**change), 7, None) for change in ({}, changes)]
    assert (made[0] == made[1]) is same


def test_a_lines_commitment_is_that_of_its_record() -> None:
    document = domain.document_hash(SALT, "sal_1", "17")
    record = domain.record_bytes(Record(**CREDIT | {"document": document}))
    made = domain.line_commitment(a_line(), 7, CREDIT["expires_at"])
    assert made == domain.commitment(SALT[::-1], record)
    assert made != domain.line_commitment(a_line(), None, CREDIT["expires_at"])
