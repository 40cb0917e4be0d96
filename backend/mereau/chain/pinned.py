"""The contract's and the accounts' state at one block, named by its hash: what decisions are taken on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from mereau.chain import contract
from mereau.chain.contract import PartnerTerms
from mereau.chain.errors import RpcUnavailableError
from mereau.chain.models import Deployment
from mereau.chain.rpc import Request, RpcClient, at_block, hex_bytes, quantity, shown
from mereau.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class PinnedBlock:
    """One block of one node. Every question is answered as of this block, or by BlockUnknownError."""

    rpc: RpcClient
    contract: bytes
    number: int
    hash: bytes
    timestamp_s: int
    gas_limit: int

    @classmethod
    async def latest(cls, rpc: RpcClient, deployment: Deployment) -> Self:
        """Pin the node's head.

        Raises ConfigurationError where the node behind the URL serves another chain by now, and
        RpcUnavailableError where it shows no block at all.
        """
        head, chain_id, genesis = await rpc.batch(
            [
                ("eth_getBlockByNumber", ("latest", False)),
                ("eth_chainId", ()),
                ("eth_getBlockByNumber", (quantity(0), False)),
            ]
        )
        head, genesis = shown(head, "head"), shown(genesis, "genesis block")
        served = int(chain_id, 16), hex_bytes(genesis["hash"])
        if served != (deployment.chain_id, deployment.genesis_hash):
            raise ConfigurationError(
                f"The node at {rpc.url} serves another chain now (id {served[0]}, genesis 0x{served[1].hex()})."
            )
        return cls(
            rpc,
            deployment.contract,
            int(head["number"], 16),
            hex_bytes(head["hash"]),
            int(head["timestamp"], 16),
            int(head["gasLimit"], 16),
        )

    async def partners(self, numbers: Sequence[int]) -> dict[int, PartnerTerms]:
        """Terms and counters of partners; unknown ones have the zero signer."""
        answers = await self._calls([("partnerOf", (number,)) for number in numbers])
        return {number: contract.decode_partner(data) for number, data in zip(numbers, answers, strict=True)}

    async def expiry_sequence(self) -> int:
        """Sequence of the last executed expiry."""
        (data,) = await self._calls([("expirySequence", ())])
        return int.from_bytes(data, "big")

    async def redemption_nonces(self, members: Sequence[bytes]) -> dict[bytes, int]:
        """Each member's next redemption nonce."""
        answers = await self._calls([("nonces", (member,)) for member in members])
        return {member: int.from_bytes(data, "big") for member, data in zip(members, answers, strict=True)}

    async def account_nonces(self, senders: Sequence[bytes]) -> dict[bytes, int]:
        """Each account's transaction nonce."""
        answers = await self.rpc.batch(
            [("eth_getTransactionCount", (sender, at_block(self.hash))) for sender in senders]
        )
        return {sender: int(answer, 16) for sender, answer in zip(senders, answers, strict=True)}

    async def balance(self, address: bytes) -> int:
        """Wei of an account."""
        return int(await self.rpc.call("eth_getBalance", address, at_block(self.hash)), 16)

    async def account_nonces_at(self, senders: Sequence[bytes], number: int) -> dict[bytes, int]:
        """As `account_nonces`, at an earlier block of the same chain by its number."""
        answers = await self.rpc.batch([("eth_getTransactionCount", (sender, quantity(number))) for sender in senders])
        return {sender: int(answer, 16) for sender, answer in zip(senders, answers, strict=True)}

    async def timestamp_at(self, number: int) -> int:
        """Unix second of an earlier block of the same chain."""
        block = await self.rpc.call("eth_getBlockByNumber", quantity(number), False)
        return int(shown(block, f"block {number}")["timestamp"], 16)

    async def _calls(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[bytes]:
        requests: list[Request] = [
            (
                "eth_call",
                ({"to": self.contract, "data": contract.encode_call(name, *args)}, at_block(self.hash)),
            )
            for name, args in calls
        ]
        answers = [hex_bytes(answer) for answer in await self.rpc.batch(requests)]
        if not all(answers):
            # Every function asked here returns something: no bytes are what an account without code gives.
            raise RpcUnavailableError(f"the node shows no contract at block {self.number}")
        return answers
