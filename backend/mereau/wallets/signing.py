"""Signs with the programme's managed keys, derived from the seed when they are needed."""

from collections.abc import Sequence
from typing import Final

import coincurve
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain.signing import SignerRefusedError
from mereau.core.db import snapshot
from mereau.wallets import derivation, repository
from mereau.wallets.derivation import PrivateNode
from mereau.wallets.domain import Branch
from mereau.wallets.keystore import Seed

_V_OFFSET: Final = 27  # Ethereum counts the recovery id from here (Yellow Paper, appendix F).
_CACHED_PLACES_MAX: Final = 100_000


class KeystoreSigner:
    """A `chain.signing.Signer` over the seed of an open keystore.

    Holds the branches' private nodes in memory, never a child key longer than one signature. Which child an
    address is stands in the wallets table; addresses that are not managed there are refused.
    """

    def __init__(self, seed: Seed, engine: AsyncEngine) -> None:
        self._engine = engine
        self._branches = {branch.value: derivation.branch_node(seed.value, branch.value) for branch in Branch}
        self._places: dict[bytes, tuple[int, int]] = {}

    async def sign(self, requests: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Sign each (address, digest) as r || s || v, in order; one read for all addresses not seen before.

        SignerRefusedError, and no signature at all, where one address is unknown or its holder keeps the key.
        """
        await self._learn({address for address, _ in requests})
        return [_signature(self._key(address), digest) for address, digest in requests]

    async def _learn(self, addresses: set[bytes]) -> None:
        if len(self._places) > _CACHED_PLACES_MAX:
            self._places.clear()
        unknown = addresses - self._places.keys()
        if not unknown:
            return
        async with snapshot(self._engine) as session:
            self._places |= await repository.places(session, list(unknown))
        if strange := unknown - self._places.keys():
            raise SignerRefusedError(f"No managed key belongs to 0x{min(strange).hex()}.")

    def _key(self, address: bytes) -> PrivateNode:
        branch, index = self._places[address]
        node = derivation.private_child(self._branches[branch], index)
        if derivation.address_of(derivation.public_half(node).public_key) != address:
            raise SignerRefusedError(f"The keystore does not hold the key of 0x{address.hex()}.")
        return node


def _signature(node: PrivateNode, digest: bytes) -> bytes:
    """Deterministic (RFC 6979), s in the lower half: libsecp256k1 makes no other."""
    signed = coincurve.PrivateKey(node.private_key).sign_recoverable(digest, hasher=None)
    return signed[:64] + bytes([signed[64] + _V_OFFSET])
