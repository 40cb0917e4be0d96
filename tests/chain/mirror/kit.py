"""A token of a test's own on a real node, and hands that sign and submit its orders."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from mereau.chain import contract
from mereau.chain.hashing import keccak
from mereau.chain.models import Deployment
from mereau.chain.rpc import RpcClient, hex_bytes

GAS = 15_000_000
EPOCH_S = 600
FAR_FUTURE = 2**40 - 1
PARTNER = 1

Items = Sequence[tuple[bytes, int]]


def wallet(number: int) -> bytes:
    """An address whose key nobody holds."""
    return keccak(number.to_bytes(8, "big"))[:20]


def holder(number: int) -> LocalAccount:
    account: LocalAccount = Account.from_key(keccak(b"holder" + number.to_bytes(8, "big")))
    return account


def address(account: LocalAccount) -> bytes:
    return bytes.fromhex(account.address[2:])


def root(text: str) -> bytes:
    return keccak(text.encode())


def _sign(account: LocalAccount, digest: bytes) -> bytes:
    return bytes(account.unsafe_sign_hash(digest).signature)


@dataclass
class Token:
    """One deployed contract; `admin` holds every role, `partner` signs for partner 1."""

    rpc: RpcClient
    chain_id: int
    admin: LocalAccount
    partner: LocalAccount
    deployment: Deployment

    @property
    def address(self) -> bytes:
        return self.deployment.contract

    @property
    def domain(self) -> contract.OrderDomain:
        return contract.OrderDomain(self.chain_id, self.address)

    async def send(self, data: bytes, *, sender: LocalAccount | None = None) -> bytes:
        """Submit a call and wait for its receipt; returns the transaction's hash."""
        return await submit(self.rpc, self.chain_id, sender or self.admin, self.address, data)

    async def broadcast(self, data: bytes) -> bytes:
        """Submit a call and do not wait: the node mines when it is told to."""
        raw = await signed(self.rpc, self.chain_id, self.admin, self.address, data)
        return hex_bytes(await self.rpc.call("eth_sendRawTransaction", raw))

    def issue_call(self, credited: Items, trail_root: bytes, number: int) -> bytes:
        packed = contract.pack_list(credited)
        digest = self.domain.issue_digest(PARTNER, number, trail_root, packed)
        return contract.encode_call("issue", PARTNER, number, trail_root, packed, _sign(self.partner, digest))

    async def issue(self, credited: Items, trail_root: bytes = bytes(32)) -> bytes:
        return await self.send(self.issue_call(credited, trail_root, await self.next_sequence()))

    async def next_sequence(self) -> int:
        return await self._read("partnerSequence", PARTNER) + 1

    async def reverse(self, debited: Items, trail_root: bytes = bytes(32)) -> bytes:
        number = await self.next_sequence()
        packed = contract.pack_list(debited)
        digest = self.domain.reverse_digest(PARTNER, number, trail_root, packed)
        return await self.send(
            contract.encode_call("reverse", PARTNER, number, trail_root, packed, _sign(self.partner, digest))
        )

    async def expire(self, debited: Items, trail_root: bytes = bytes(32)) -> bytes:
        number = await self._read("expirySequence") + 1
        packed = contract.pack_list(debited)
        digest = self.domain.expire_digest(number, trail_root, packed)
        signature = _sign(self.admin, digest)
        call = contract.encode_call("expire", address(self.admin), number, trail_root, packed, signature)
        return await self.send(call)

    async def redeem(self, burns: Iterable[tuple[LocalAccount, int, bytes]], nonce: int = 0) -> bytes:
        """Burn (holder, tokens, reference) in one transaction; every holder is at the same `nonce`."""
        signed_orders = []
        for account, tokens, reference in burns:
            order = contract.Redemption(address(account), tokens, PARTNER, reference, nonce, FAR_FUTURE)
            signed_orders.append((order, _sign(account, self.domain.redeem_digest(order))))
        return await self.send(contract.encode_call("redeem", contract.pack_redemptions(signed_orders)))

    async def balance(self, account: bytes) -> int:
        return await self._read("balanceOf", account)

    async def supply(self) -> int:
        return await self._read("totalSupply")

    async def _read(self, name: str, *args: Any) -> int:
        data = contract.encode_call(name, *args)
        answer = await self.rpc.call("eth_call", {"to": self.address, "data": data}, "latest")
        value: int = contract.decode_result(name, hex_bytes(answer))[0]
        return value

    async def head(self) -> int:
        return int(await self.rpc.call("eth_blockNumber"), 16)


async def signed(rpc: RpcClient, chain_id: int, sender: LocalAccount, target: bytes | None, data: bytes) -> bytes:
    """A legacy transaction with the sender's next nonce."""
    nonce, price = await rpc.batch([("eth_getTransactionCount", (sender.address, "pending")), ("eth_gasPrice", ())])
    fields = {
        "nonce": int(nonce, 16),
        "gasPrice": 2 * int(price, 16),
        "gas": GAS,
        "value": 0,
        "data": data,
        "chainId": chain_id,
    }
    if target is not None:
        fields["to"] = target
    return bytes(sender.sign_transaction(fields).raw_transaction)


async def submit(rpc: RpcClient, chain_id: int, sender: LocalAccount, target: bytes | None, data: bytes) -> bytes:
    raw = await signed(rpc, chain_id, sender, target, data)
    digest = await rpc.call("eth_sendRawTransaction", raw)
    await receipt_of(rpc, digest)
    return hex_bytes(digest)


async def receipt_of(rpc: RpcClient, digest: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        receipt = None
        while receipt is None:
            receipt = await rpc.call("eth_getTransactionReceipt", digest)
            await asyncio.sleep(0 if receipt else 0.01)
    found: dict[str, Any] = receipt
    return found


async def deploy(rpc: RpcClient, admin: LocalAccount, partner: LocalAccount) -> Token:
    """A fresh contract, transfers open, with partner 1 registered without limit."""
    chain_id = int(await rpc.call("eth_chainId"), 16)
    role = address(admin)
    config = contract.Config(
        name="Mirror test",
        symbol="MIR",
        contract_uri="",
        decimals=0,
        admin=role,
        admin_delay_s=0,
        partner_admin=role,
        expirer=role,
        pauser=role,
        notice_period_s=0,
        epoch_length_s=EPOCH_S,
        cap_period_s=3600,
        transfers_open=True,
    )
    data = contract.encode_deployment(config)
    digest = await submit(rpc, chain_id, admin, None, data)
    receipt = await receipt_of(rpc, "0x" + digest.hex())
    genesis = await rpc.call("eth_getBlockByNumber", "0x0", False)
    deployed = hex_bytes(receipt["contractAddress"])
    code = hex_bytes(await rpc.call("eth_getCode", deployed, "latest"))
    deployment = Deployment(
        id=1,
        chain_id=chain_id,
        genesis_hash=hex_bytes(genesis["hash"]),
        contract=deployed,
        code_hash=keccak(code),
        block_number=int(receipt["blockNumber"], 16),
        block_hash=hex_bytes(receipt["blockHash"]),
    )
    token = Token(rpc, chain_id, admin, partner, deployment)
    await token.send(register_call(address(partner)))
    return token


def register_call(signer: bytes, number: int = PARTNER, allowance: int | None = None) -> bytes:
    return contract.encode_set_partner(number, signer, allowance=allowance, period_cap=None, active=True)
