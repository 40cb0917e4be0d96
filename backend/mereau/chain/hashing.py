"""Keccak-256, the hash of the EVM (not SHA3-256: the padding differs)."""

from typing import Final

from sha3 import keccak_256

ZERO_HASH: Final = bytes(32)


def keccak(data: bytes) -> bytes:
    """The 32-byte Keccak-256 digest of `data`."""
    digest: bytes = keccak_256(data).digest()
    return digest
