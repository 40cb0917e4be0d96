"""The real token on the chain: deployed from the committed artifact, issuing packed credits."""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils import keccak, to_checksum_address

import mereau.chain
from chain.embedded.support import CHAIN_ID, Client, sign

ARTIFACT = Path(mereau.chain.__file__).parent / "artifacts" / "LoyaltyToken.json"
PARTNER = 1
UNLIMITED = 2**56 - 1
TRAIL_ROOT = b"\7" * 32
TYPES = {
    "Issue": [
        {"name": "partner", "type": "uint32"},
        {"name": "sequence", "type": "uint64"},
        {"name": "trailRoot", "type": "bytes32"},
        {"name": "credits", "type": "bytes"},
    ]
}


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


@dataclass
class Token:
    """A deployed token with one partner, whose orders `owner` submits."""

    rpc: Client
    owner: LocalAccount
    signer: LocalAccount
    address: str = ""
    sequence: int = 0
    seed: random.Random = field(default_factory=lambda: random.Random(7))

    def deploy(self) -> "Token":
        artifact = json.loads(ARTIFACT.read_text())
        constructor = next(entry for entry in artifact["abi"] if entry["type"] == "constructor")
        fields = constructor["inputs"][0]["components"]
        values: dict[str, Any] = {
            "name": "Mereau", "symbol": "MER", "contractURI": "ipfs://terms", "decimals": 0,
            "admin": self.owner.address, "adminDelay": 3_600, "partnerAdmin": self.owner.address,
            "expirer": self.owner.address, "pauser": self.owner.address, "noticePeriod": 86_400,
            "epochLength": 365 * 86_400, "capPeriod": 30 * 86_400, "transfersOpen": False,
        }  # fmt: skip
        kinds = ",".join(entry["type"] for entry in fields)
        config = encode([f"({kinds})"], [tuple(values[entry["name"]] for entry in fields)])
        code = bytes.fromhex(artifact["bytecode"].removeprefix("0x")) + config
        self.address = to_checksum_address(self.rpc.deploy(self.owner, code))
        kinds_set = ["uint32", "address", "uint64", "uint64", "bool"]
        values_set = [PARTNER, self.signer.address, UNLIMITED, UNLIMITED, True]
        payload = selector(f"setPartner({','.join(kinds_set)})") + encode(kinds_set, values_set)
        assert self.rpc.mine(self.owner, to=self.address, data=payload, gas=500_000)["status"] == "0x1"
        return self

    def issue(self, members: list[bytes]) -> bytes:
        """The call data of the next order: one credit for each member."""
        self.sequence += 1
        packed = b"".join(member + self.seed.randint(1, 100_000).to_bytes(12, "big") for member in members)
        domain = {"name": "Mereau", "version": "1", "chainId": CHAIN_ID, "verifyingContract": self.address}
        order = {
            "partner": PARTNER, "sequence": self.sequence, "trailRoot": TRAIL_ROOT, "credits": packed,
        }  # fmt: skip
        signature = self.signer.sign_typed_data(domain, TYPES, order).signature
        kinds = ["uint32", "uint64", "bytes32", "bytes", "bytes"]
        return selector(f"issue({','.join(kinds)})") + encode(kinds, [*order.values(), bytes(signature)])

    def request(self, data: bytes) -> dict[str, str]:
        return {"from": self.owner.address, "to": self.address, "data": "0x" + data.hex()}

    def signed(self, data: bytes, *, gas: int) -> str:
        return sign(self.owner, nonce=self.rpc.nonce(self.owner), to=self.address, data=data, gas=gas)
