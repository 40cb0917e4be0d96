"""Who signs: the port that wallets (keystore), Web3Signer or a cloud KMS fill."""

from collections.abc import Sequence
from typing import Protocol

from mereau.core.errors import MereauError


class SignerRefusedError(MereauError):
    """The signer does not hold the key of this address, or will not use it."""

    code, title = "signer_refused", "The signer refused"


class Signer(Protocol):
    """Signs digests with secp256k1 keys; never sees what they stand for, never gives a key away."""

    async def sign(self, requests: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Sign each (20-byte address, 32-byte digest), in order.

        Returns r || s || v of 65 bytes with v in {27, 28} and s in the lower half (EIP-2).
        Raises SignerRefusedError for an address whose key it does not hold.
        """
        ...
