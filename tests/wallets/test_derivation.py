"""Derivation against eth_account's HD wallet, an implementation that shares nothing with ours."""

import coincurve
import pytest
from eth_account import Account
from eth_account.hdaccount import HDPath
from hypothesis import given, settings
from hypothesis import strategies as st

from mereau.wallets import derivation
from mereau.wallets.derivation import HARDENED, PrivateNode, PublicNode

SEEDS = st.binary(min_size=32, max_size=32)
INDICES = st.integers(0, HARDENED - 1)

# BIP-32, test vector 1: seed, then the chain m/0'/1.
VECTOR_SEED = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
VECTOR_M = "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35"
VECTOR_M_0H = "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea"
VECTOR_M_0H_1 = "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_the_published_vector() -> None:
    root = derivation.master(VECTOR_SEED)
    hardened = derivation.private_child(root, HARDENED)
    child = derivation.private_child(hardened, 1)
    assert [n.private_key.hex() for n in (root, hardened, child)] == [VECTOR_M, VECTOR_M_0H, VECTOR_M_0H_1]


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 2), INDICES)
def test_private_and_public_derivation_agree_with_eth_account(seed: bytes, branch: int, index: int) -> None:
    oracle = HDPath(f"m/44'/60'/{branch}'/0/{index}").derive(seed)
    node = derivation.branch_node(seed, branch)
    assert derivation.private_child(node, index).private_key == oracle
    public = derivation.public_child(derivation.public_half(node), index)
    assert public.public_key == coincurve.PrivateKey(oracle).public_key.format()
    assert derivation.address_of(public.public_key) == bytes.fromhex(Account.from_key(oracle).address[2:])


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_branches_and_indices_never_share_an_address(seed: bytes) -> None:
    halves = [derivation.public_half(derivation.branch_node(seed, branch)) for branch in range(3)]
    keys = {derivation.public_child(half, index).public_key for half in halves for index in range(5)}
    assert len(keys) == 15


def test_a_hardened_child_has_no_public_derivation() -> None:
    half = derivation.public_half(derivation.branch_node(bytes(32), 0))
    with pytest.raises(OverflowError):
        derivation.public_child(half, 1 << 32)
    private = derivation.private_child(derivation.branch_node(bytes(32), 0), HARDENED)
    assert derivation.public_child(half, HARDENED) != derivation.public_half(private)


@pytest.mark.parametrize("tweak", [CURVE_ORDER - 1, CURVE_ORDER])
def test_an_index_without_a_key_is_refused(tweak: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One index in 2^127 has no key; only a hash that is told what to answer finds one."""
    parent = PrivateNode((1).to_bytes(32, "big"), bytes(32))
    monkeypatch.setattr(derivation, "_digest", lambda *_: (tweak.to_bytes(32, "big"), bytes(32)))
    with pytest.raises(ValueError, match="index 7 has no key"):
        derivation.private_child(parent, 7)
    with pytest.raises(ValueError, match=r"."):
        derivation.public_child(derivation.public_half(parent), 7)


def test_private_keys_are_not_shown() -> None:
    node = derivation.branch_node(bytes(32), 0)
    assert node.private_key.hex() not in repr(node)
    assert str(node.private_key) not in repr(node)
    assert isinstance(derivation.public_half(node), PublicNode)
