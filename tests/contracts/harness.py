"""A deployed token on an in-process EVM, and the hands that sign its orders.

Digests come from eth-account's own EIP-712 encoder, so that the contract is checked against code that shares nothing
with it.
"""

import ast
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from eth_utils import keccak, to_checksum_address
from web3 import EthereumTesterProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction

ROOT = Path(__file__).resolve().parents[2]
PRODUCT_ARTIFACT = ROOT / "backend/mereau/chain/artifacts/LoyaltyToken.json"
TEST_ARTIFACTS = Path(__file__).with_name("artifacts")

# Far ahead of any wall clock: py-evm then advances one second a block and never looks at the machine's time.
GENESIS_AT = 2_000_000_000
GAS_LIMIT = 16_777_216
U40_MAX = 2**40 - 1
U56_MAX = 2**56 - 1
U64_MAX = 2**64 - 1
ZERO = "0x" + "00" * 20
ROOT_HASH = keccak(text="trail root")
EPOCH_S = 86_400 * 30
CAP_PERIOD_S = 86_400
NOTICE_S = 86_400 * 14
ADMIN_DELAY_S = 86_400 * 2

ORDER_TYPES: dict[str, list[tuple[str, str]]] = {
    "Issue": [("partner", "uint32"), ("sequence", "uint64"), ("trailRoot", "bytes32"), ("credits", "bytes")],
    "Reverse": [("partner", "uint32"), ("sequence", "uint64"), ("trailRoot", "bytes32"), ("debits", "bytes")],
    "Expire": [("sequence", "uint64"), ("trailRoot", "bytes32"), ("debits", "bytes")],
    "Redeem": [
        ("member", "address"),
        ("amount", "uint64"),
        ("partner", "uint32"),
        ("reference", "bytes32"),
        ("nonce", "uint40"),
        ("deadline", "uint40"),
    ],
}


# An event or a custom error: its name and its arguments.
Event = tuple[str, dict[str, Any]]


def artifact(name: str) -> dict[str, Any]:
    path = PRODUCT_ARTIFACT if name == "LoyaltyToken" else TEST_ARTIFACTS / f"{name}.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def key(label: str) -> LocalAccount:
    """A signer that is the same in every run."""
    signer: LocalAccount = Account.from_key(keccak(text=f"mereau test key {label}"))
    return signer


def pack(items: Iterable[tuple[str, int]]) -> bytes:
    """A credit or debit list: address(20) | amount(12) per item."""
    return b"".join(bytes.fromhex(member[2:]) + amount.to_bytes(12, "big") for member, amount in items)


def selector(item: Any) -> bytes:
    """The hash by which logs and revert data name an event or error."""
    return keccak(text=f"{item['name']}({','.join(field['type'] for field in item['inputs'])})")


def transfer(sender: str, receiver: str, value: int) -> Event:
    return "Transfer", {"from": sender, "to": receiver, "value": value}


@dataclass(frozen=True, kw_only=True)
class Redemption:
    """A redemption's fields, before anybody signs them."""

    member: str
    amount: int
    partner: int
    nonce: int
    deadline: int
    reference: bytes = b"\x07" * 32

    def record(self, signature: bytes) -> bytes:
        return (
            bytes.fromhex(self.member[2:])
            + self.amount.to_bytes(8, "big")
            + self.partner.to_bytes(4, "big")
            + self.reference
            + self.nonce.to_bytes(5, "big")
            + self.deadline.to_bytes(5, "big")
            + len(signature).to_bytes(2, "big")
            + signature
        )


class Chain:
    """An in-process EVM behind web3, with snapshots and a clock that only tests move."""

    def __init__(self) -> None:
        parameters = PyEVMBackend.generate_genesis_params({"timestamp": GENESIS_AT})
        self.tester = EthereumTester(PyEVMBackend(genesis_parameters=parameters))
        self.w3 = Web3(EthereumTesterProvider(self.tester))
        self.accounts: Sequence[str] = self.w3.eth.accounts

    def deploy(self, name: str, *arguments: Any) -> Contract:
        build = artifact(name)
        factory = self.w3.eth.contract(abi=build["abi"], bytecode=build["bytecode"])
        receipt = self.mine(factory.constructor(*arguments), self.accounts[0])
        return self.w3.eth.contract(address=receipt["contractAddress"], abi=build["abi"])

    def mine(self, call: Any, sender: str, gas: int = GAS_LIMIT) -> Any:
        """Mines the call in a block of its own and insists on success."""
        receipt = self.submit(call, sender, gas)
        assert receipt["status"] == 1, "the transaction reverted"
        return receipt

    def submit(self, call: Any, sender: str, gas: int = GAS_LIMIT) -> Any:
        """Mines the call in a block of its own, whatever becomes of it."""
        terms = {"from": sender, "gas": gas, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}
        return self.w3.eth.wait_for_transaction_receipt(call.transact(terms))

    def now(self) -> int:
        """The clock that calls see: the latest block's."""
        return int(self.w3.eth.get_block("latest")["timestamp"])

    def travel(self, to_s: int) -> None:
        """Mines an empty block that bears this Unix second; eth-tester names the second of the block after it."""
        self.tester.time_travel(to_s + 1)

    def snapshot(self) -> Any:
        return self.tester.take_snapshot()

    def revert(self, snapshot: Any) -> None:
        self.tester.revert_to_snapshot(snapshot)


PARTNER_ID = 1
PARTNER = key("partner")
ANNA, BORIS, CLAIRE = (key(name) for name in ("Anna", "Boris", "Claire"))


@dataclass(frozen=True)
class Roles:
    """Who transacts (accounts of the chain) and who only signs."""

    admin: str
    partner_admin: str
    pauser: str
    relayer: str
    stranger: str
    expirer: LocalAccount


class Token:
    """One deployed LoyaltyToken with its roles."""

    def __init__(self, chain: Chain, **overrides: Any) -> None:
        self.chain = chain
        admin, partner_admin, pauser, relayer, stranger = chain.accounts[:5]
        self.roles = Roles(admin, partner_admin, pauser, relayer, stranger, key("expirer"))
        self.config: dict[str, Any] = {
            "name": "Points",
            "symbol": "PTS",
            "contractURI": "https://example.test/contract.json",
            "decimals": 0,
            "admin": admin,
            "adminDelay": ADMIN_DELAY_S,
            "partnerAdmin": partner_admin,
            "expirer": self.roles.expirer.address,
            "pauser": pauser,
            "noticePeriod": NOTICE_S,
            "epochLength": EPOCH_S,
            "capPeriod": CAP_PERIOD_S,
            "transfersOpen": False,
        } | overrides
        self.contract = chain.deploy("LoyaltyToken", tuple(self.config.values()))
        self.call = self.contract.functions
        self._errors = {selector(item)[:4]: item for item in self.contract.abi if item["type"] == "error"}
        self._events = {
            selector(item): self.contract.events[item["name"]]()
            for item in self.contract.abi
            if item["type"] == "event"
        }

    @property
    def domain(self) -> dict[str, Any]:
        return {
            "name": "Mereau",
            "version": "1",
            "chainId": self.chain.w3.eth.chain_id,
            "verifyingContract": self.contract.address,
        }

    def sign(self, signer: LocalAccount, order: str, domain: dict[str, Any] | None = None, **fields: Any) -> bytes:
        types = {order: [{"name": name, "type": kind} for name, kind in ORDER_TYPES[order]]}
        message = encode_typed_data(domain or self.domain, types, fields)
        return bytes(signer.sign_message(message).signature)

    def issue(
        self, signer: LocalAccount, partner: int, sequence: int, items: Iterable[tuple[str, int]]
    ) -> ContractFunction:
        credits_ = pack(items)
        signature = self.sign(
            signer, "Issue", partner=partner, sequence=sequence, trailRoot=ROOT_HASH, credits=credits_
        )
        return self.call.issue(partner, sequence, ROOT_HASH, credits_, signature)

    def reverse(
        self, signer: LocalAccount, partner: int, sequence: int, items: Iterable[tuple[str, int]]
    ) -> ContractFunction:
        debits = pack(items)
        signature = self.sign(signer, "Reverse", partner=partner, sequence=sequence, trailRoot=ROOT_HASH, debits=debits)
        return self.call.reverse(partner, sequence, ROOT_HASH, debits, signature)

    def expire(self, signer: LocalAccount, sequence: int, items: Iterable[tuple[str, int]]) -> ContractFunction:
        debits = pack(items)
        signature = self.sign(signer, "Expire", sequence=sequence, trailRoot=ROOT_HASH, debits=debits)
        return self.call.expire(signer.address, sequence, ROOT_HASH, debits, signature)

    def redemption(self, signer: LocalAccount, redemption: Redemption) -> bytes:
        """The packed record of a redemption, signed."""
        signature = self.sign(
            signer,
            "Redeem",
            member=redemption.member,
            amount=redemption.amount,
            partner=redemption.partner,
            reference=redemption.reference,
            nonce=redemption.nonce,
            deadline=redemption.deadline,
        )
        return redemption.record(signature)

    def redeem(self, *redemptions: tuple[LocalAccount, Redemption]) -> ContractFunction:
        return self.call.redeem(b"".join(self.redemption(signer, order) for signer, order in redemptions))

    def register(
        self,
        partner: int,
        signer: str,
        *,
        allowance: int = U56_MAX,
        period_cap: int = U56_MAX,
        active: bool = True,
    ) -> list[Event]:
        """Sets a partner's terms as the partner admin; by default without limits."""
        return self.run(self.call.setPartner(partner, signer, allowance, period_cap, active), self.roles.partner_admin)

    def fund(self, *items: tuple[str, int]) -> None:
        """Credits members through the standing partner."""
        self.run(self.issue(PARTNER, PARTNER_ID, self.next_sequence(), items))

    def next_sequence(self, partner: int = PARTNER_ID) -> int:
        return int(self.call.partnerSequence(partner).call()) + 1

    def balance(self, member: str) -> int:
        return int(self.call.balanceOf(member).call())

    def supply(self) -> int:
        return int(self.call.totalSupply().call())

    def epoch(self) -> int:
        return self.chain.now() // int(self.config["epochLength"])

    def to_epoch(self, number: int) -> None:
        """Moves the clock to the first second of an epoch."""
        self.chain.travel(number * int(self.config["epochLength"]))

    def run(self, call: ContractFunction, sender: str | None = None) -> list[Event]:
        """Mines the call and returns its events in log order."""
        return list(self.events(self.chain.mine(call, sender or self.roles.relayer)))

    def events(self, receipt: Any) -> Iterator[Event]:
        for log in receipt["logs"]:
            decoded = self._events[bytes(log["topics"][0])].process_log(log)
            yield decoded["event"], dict(decoded["args"])

    def refusal(self, call: ContractFunction, sender: str | None = None) -> Event:
        """The custom error, by name and arguments, with which the call reverts; it must revert."""
        try:
            call.call({"from": sender or self.roles.relayer})
        except TransactionFailed as failure:
            return self.failure(failure)
        raise AssertionError("the call succeeded")

    def failure(self, failure: TransactionFailed) -> Event:
        """The custom error in eth-tester's message, which spells the revert data as a Python literal."""
        data: bytes = ast.literal_eval(str(failure).removeprefix("execution reverted: "))
        item = self._errors[data[:4]]
        kinds = [field["type"] for field in item["inputs"]]
        values = self.chain.w3.codec.decode(kinds, data[4:])
        return item["name"], {
            field["name"]: to_checksum_address(value) if field["type"] == "address" else value
            for field, value in zip(item["inputs"], values, strict=True)
        }


class Deployed(NamedTuple):
    """One chain with a token of either kind: members cannot transfer, members can."""

    chain: Chain
    closed: Token
    open: Token
