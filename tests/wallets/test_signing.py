"""The keystore signer: signatures that ecrecover accepts, and no key anywhere but in the seed."""

import logging

import pytest
import structlog
from eth_keys import keys
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import START
from mereau.chain.signing import Signer, SignerRefusedError
from mereau.core.db import snapshot, transaction
from mereau.wallets import derivation, signing
from mereau.wallets import service as wallets
from mereau.wallets.keystore import Seed
from mereau.wallets.signing import KeystoreSigner

HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2
DIGESTS = [bytes([index]) * 32 for index in range(1, 4)]


def recovered(digest: bytes, signature: bytes) -> bytes:
    """The address that signed, by eth_keys; the form is checked on the way."""
    assert len(signature) == 65
    assert signature[64] in {27, 28}
    assert 0 < int.from_bytes(signature[32:64], "big") <= HALF_ORDER
    plain = keys.Signature(signature[:64] + bytes([signature[64] - 27]))
    return plain.recover_public_key_from_msg_hash(digest).to_canonical_address()


async def owners(engine: AsyncEngine) -> list[bytes]:
    async with transaction(engine) as session:
        members = await wallets.ensure_member_wallets(session, ["mem_a", "mem_b"], START)
        roles = await wallets.ensure_role_wallets(session)
        return [*members.values(), await wallets.ensure_partner_wallet(session, "par_1"), roles["expirer"]]


async def test_each_address_signs_with_its_own_key_in_order(branches: AsyncEngine, seed: Seed) -> None:
    signer: Signer = KeystoreSigner(seed, branches)
    requests = [(address, digest) for address in await owners(branches) for digest in DIGESTS]
    signatures = await signer.sign(requests)
    assert [recovered(digest, made) for (_, digest), made in zip(requests, signatures, strict=True)] == [
        address for address, _ in requests
    ]


async def test_signatures_are_deterministic(branches: AsyncEngine, seed: Seed) -> None:
    address = (await owners(branches))[0]
    made = [await KeystoreSigner(seed, branches).sign([(address, DIGESTS[0])]) for _ in range(2)]
    assert made[0] == made[1]


async def test_nothing_to_sign_is_nothing(branches: AsyncEngine, seed: Seed) -> None:
    assert await KeystoreSigner(seed, branches).sign([]) == []


async def test_an_unknown_address_is_refused_and_nothing_signed(branches: AsyncEngine, seed: Seed) -> None:
    known = (await owners(branches))[0]
    with pytest.raises(SignerRefusedError, match="0x" + "ee" * 20):
        await KeystoreSigner(seed, branches).sign([(known, DIGESTS[0]), (b"\xee" * 20, DIGESTS[0])])


async def test_a_wallet_in_self_custody_is_refused(branches: AsyncEngine, seed: Seed) -> None:
    address = (await owners(branches))[0]
    async with transaction(branches) as session:
        await session.execute(
            text("update wallets set custody = 'self', derivation_index = null where address = :a"), {"a": address}
        )
    with pytest.raises(SignerRefusedError):
        await KeystoreSigner(seed, branches).sign([(address, DIGESTS[0])])


async def test_another_seed_does_not_sign_for_these_wallets(branches: AsyncEngine) -> None:
    address = (await owners(branches))[0]
    with pytest.raises(SignerRefusedError, match="does not hold the key"):
        await KeystoreSigner(Seed(bytes(32)), branches).sign([(address, DIGESTS[0])])


async def test_a_full_memory_of_places_starts_again(
    branches: AsyncEngine, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "_CACHED_PLACES_MAX", 1)
    signer = KeystoreSigner(seed, branches)
    addresses = await owners(branches)
    for _ in range(2):
        made = await signer.sign([(address, DIGESTS[0]) for address in addresses])
        assert [recovered(DIGESTS[0], signature) for signature in made] == addresses


@given(st.binary(min_size=32, max_size=32))
def test_any_digest_is_signed_in_the_lower_half(digest: bytes) -> None:
    node = derivation.private_child(derivation.branch_node(bytes(32), 0), 0)
    address = derivation.address_of(derivation.public_half(node).public_key)
    assert recovered(digest, signing._signature(node, digest)) == address


async def test_no_key_or_seed_is_in_any_table_or_log(
    branches: AsyncEngine, seed: Seed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as told:
        addresses = await owners(branches)
        await KeystoreSigner(seed, branches).sign([(address, DIGESTS[0]) for address in addresses])
    nodes = [derivation.branch_node(seed.value, branch) for branch in range(3)]
    nodes += [derivation.private_child(node, index) for node in nodes for index in range(5)]
    secrets = [seed.value, *(node.private_key for node in nodes)]
    said = caplog.text + str(told)
    async with snapshot(branches) as session:
        tables = (await session.scalars(text("select tablename from pg_tables where schemaname = 'public'"))).all()
        assert len(tables) > 20
        for table in tables:
            rows = await session.scalars(text(f"select row_to_json(t)::text from {table} t"))
            said += "\n".join(rows)
    assert addresses[0].hex() in said
    assert [secret.hex() for secret in secrets if secret.hex() in said] == []
