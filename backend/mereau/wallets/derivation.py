"""BIP-32 derivation on secp256k1, private and public, and the address of a key. Pure.

The path is m/44'/60'/branch'/0/index (BIP-44). The last two steps are not hardened, so that the public
half of a branch derives its addresses alone (CKDpub). The price, as BIP-32 says: whoever learns one child's
private key and the branch's public half knows the whole branch, so neither leaves the installation.
"""

import hmac
from dataclasses import dataclass, field
from typing import Final

import coincurve

from mereau.chain.hashing import keccak

HARDENED: Final = 1 << 31
_CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True, slots=True)
class PublicNode:
    """The public half of a node: compressed key (33 bytes) and chain code (32 bytes)."""

    public_key: bytes
    chain_code: bytes


@dataclass(frozen=True, slots=True)
class PrivateNode:
    """A node with its private key (32 bytes), which no representation shows."""

    private_key: bytes = field(repr=False)
    chain_code: bytes = field(repr=False)


def _digest(key: bytes, data: bytes) -> tuple[bytes, bytes]:
    digest = hmac.digest(key, data, "sha512")
    return digest[:32], digest[32:]


def master(seed: bytes) -> PrivateNode:
    """The root node of a seed (BIP-32, master key generation)."""
    return PrivateNode(*_digest(b"Bitcoin seed", seed))


def private_child(parent: PrivateNode, index: int) -> PrivateNode:
    """CKDpriv; hardened from 2^31 on. An index without a key (1 in 2^127) raises ValueError."""
    if index >= HARDENED:
        head = b"\0" + parent.private_key
    else:
        head = coincurve.PrivateKey(parent.private_key).public_key.format()
    tweak, chain_code = _digest(parent.chain_code, head + index.to_bytes(4, "big"))
    key = (int.from_bytes(tweak, "big") + int.from_bytes(parent.private_key, "big")) % _CURVE_ORDER
    if key == 0 or int.from_bytes(tweak, "big") >= _CURVE_ORDER:
        raise ValueError(f"index {index} has no key")
    return PrivateNode(key.to_bytes(32, "big"), chain_code)


def public_half(node: PrivateNode) -> PublicNode:
    """What may be stored and shared within the installation."""
    return PublicNode(coincurve.PrivateKey(node.private_key).public_key.format(), node.chain_code)


def public_child(parent: PublicNode, index: int) -> PublicNode:
    """CKDpub, for indices below 2^31. An index without a key (1 in 2^127) raises ValueError."""
    tweak, chain_code = _digest(parent.chain_code, parent.public_key + index.to_bytes(4, "big"))
    child = coincurve.PublicKey(parent.public_key).add(tweak)
    return PublicNode(child.format(), chain_code)


def branch_node(seed: bytes, branch: int) -> PrivateNode:
    """The node m/44'/60'/branch'/0, above a branch's wallets."""
    node = master(seed)
    for index in (44 | HARDENED, 60 | HARDENED, branch | HARDENED, 0):
        node = private_child(node, index)
    return node


def address_of(public_key: bytes) -> bytes:
    """The 20-byte account address of a public key (Yellow Paper, appendix F)."""
    return keccak(coincurve.PublicKey(public_key).format(compressed=False)[1:])[12:]
