"""Random orders, roles, caps, epochs, pauses and signatures: the contract follows the model, step by step.

Every call is foretold by the model. A refusal must carry the foretold error with its arguments, a success the foretold
events, and storage must agree after every step. What a run must have seen is asserted at the end, because a contract
that always reverts would pass every safety property.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.constants import SECPK1_N
from eth_utils import keccak, to_canonical_address
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from web3.contract.contract import ContractFunction

from contracts.harness import (
    CAP_PERIOD_S,
    EPOCH_S,
    ORDER_TYPES,
    PARTNER,
    PARTNER_ID,
    ROOT_HASH,
    U56_MAX,
    U64_MAX,
    ZERO,
    Deployed,
    Event,
    Redemption,
    Token,
    artifact,
    key,
    pack,
)
from contracts.stateful.model import Batch, Model, Partner, RefusedError, Spending

# The first two are registered from the start; the third may be, by a rule.
PARTNERS = st.sampled_from([1, 1, 1, 2, 2, 3])
PARTNER_KEYS = (PARTNER, key("second partner"), key("rotated partner"))
EXPIRERS = (key("expirer"), key("second expirer"))
WALLET_OWNER = key("wallet owner")
# eth-tester's accounts have the keys 1, 2, 3 ...; members stand behind the roles.
MEMBER_ACCOUNTS = (5, 6, 7)
SLOTS = {entry["label"]: int(entry["slot"]) for entry in artifact("LoyaltyToken")["storageLayout"]["storage"]}
MEMBERS = st.integers(0, 3)
# Mostly the right thing: a machine that errs at every step sees only the first check.
SEQUENCE_OFFSETS = st.sampled_from([0] * 20 + [-1, 1])
FORGERIES = st.sampled_from(["none"] * 40 + ["signer", "chain", "contract", "type", "high-s", "compact", "empty"])
AMOUNTS = st.one_of(st.integers(1, 60), st.sampled_from([0, 1, 500, U64_MAX, U64_MAX + 1]))
CREDITS = st.lists(st.tuples(MEMBERS, st.integers(1, 60)), max_size=4)
ODD_ITEMS = st.lists(st.tuples(st.integers(-1, 3), AMOUNTS), min_size=1, max_size=2)
SHARES = st.sampled_from([1, 1, 1, 2, 2, 3, 4, 5])


class TokenMachine(RuleBasedStateMachine):
    """Shares of four make up debits: 4 is all that can be taken, 5 one token more."""

    deployed: ClassVar[Deployed]
    succeeded: ClassVar[Counter[str]] = Counter()
    refused: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.token: Token = self.deployed.open
        self.chain = self.deployed.chain
        self.snapshot = self.chain.snapshot()
        self.model = Model(EPOCH_S, CAP_PERIOD_S)
        self.model.partners[PARTNER_ID] = Partner(PARTNER.address, U56_MAX, U56_MAX, active=True)
        self.set_partner(2, PARTNER_KEYS[1], 400, 200, True)
        self.model.expirers.add(self.token.roles.expirer.address)
        wallet = self.chain.deploy("SmartWallet", WALLET_OWNER.address)
        self.signers: dict[str, LocalAccount] = {
            self.chain.accounts[number]: Account.from_key((number + 1).to_bytes(32, "big"))
            for number in MEMBER_ACCOUNTS
        }
        self.signers[wallet.address] = WALLET_OWNER
        self.members = list(self.signers)
        self.accepted: list[tuple[ContractFunction, Callable[[Model, int], list[Event]]]] = []
        self.batch("Issue", PARTNER_ID, 0, [(member, 50) for member in self.members], "none")

    def teardown(self) -> None:
        self.chain.revert(self.snapshot)

    def attempt(
        self,
        kind: str,
        call: ContractFunction,
        foretell: Callable[[Model, int], list[Event]],
        sender: str | None = None,
    ) -> bool:
        """Calls see the latest block's second, a transaction the next one; a boundary may lie between the two."""
        now_s = self.chain.now()
        expected = self.refusal_of(foretell, now_s)
        if expected is not None:
            name, arguments = self.token.refusal(call, sender)
            arguments.pop("neededRole", None)
            assert (name, arguments) == expected
            self.refused[name] += 1
            return False
        if self.refusal_of(foretell, now_s + 1) is not None:
            receipt = self.chain.submit(call, sender or self.token.roles.relayer)
            assert (receipt["status"], receipt["logs"]) == (0, [])
            return False
        after = self.model.copy()
        assert self.token.run(call, sender) == foretell(after, now_s + 1)
        self.model = after
        self.succeeded[kind] += 1
        return True

    def refusal_of(self, foretell: Callable[[Model, int], list[Event]], now_s: int) -> Event | None:
        try:
            foretell(self.model.copy(), now_s)
        except RefusedError as refusal:
            return refusal.event
        return None

    def submit(self, batch: Batch, signature: bytes) -> None:
        packed = pack(batch.items)
        door = self.token.call[batch.kind.lower()]
        subject = batch.expirer if batch.kind == "Expire" else batch.partner
        call = door(subject, batch.sequence, ROOT_HASH, packed, signature)
        kind = batch.kind if batch.items else f"{batch.kind} void"

        def foretell(model: Model, now_s: int) -> list[Event]:
            return model.execute(batch, now_s)

        if self.attempt(kind, call, foretell):
            self.accepted.append((call, foretell))

    def batch(self, kind: str, partner: int, offset: int, items: list[tuple[str, int]], forgery: str) -> None:
        terms = self.model.partners.get(partner)
        signer = next(account for account in PARTNER_KEYS if terms is None or account.address == terms.signer)
        sequence = max(0, (terms.sequence if terms else 0) + 1 + offset)
        list_name = "credits" if kind == "Issue" else "debits"
        fields = {"partner": partner, "sequence": sequence, "trailRoot": ROOT_HASH, list_name: pack(items)}
        self.submit(
            Batch(
                kind=kind,
                partner=partner,
                sequence=sequence,
                items=tuple(items),
                signed_by=signer.address if forgery == "none" else None,
            ),
            self.signed(signer, kind, fields, forgery),
        )

    def signed(self, signer: LocalAccount, order: str, fields: dict[str, Any], forgery: str) -> bytes:
        """A signature over the order, spoilt in the named way."""
        domain = self.token.domain
        if forgery == "chain":
            domain["chainId"] += 1
        if forgery == "contract":
            domain["verifyingContract"] = self.deployed.closed.contract.address
        if forgery == "signer":
            signer = key("forger")
        if forgery == "type":
            order = {"Issue": "Reverse", "Reverse": "Issue", "Expire": "Reverse", "Redeem": "Expire"}[order]
            fields = {"partner": 1, "sequence": 1, "trailRoot": ROOT_HASH, "debits": b"", "credits": b""} | fields
        signature = self.token.sign(signer, order, domain, **self.known(order, fields))
        if forgery == "high-s":
            s = SECPK1_N - int.from_bytes(signature[32:64], "big")
            signature = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
        if forgery == "compact":
            vs = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
            signature = signature[:32] + vs.to_bytes(32, "big")
        return b"" if forgery == "empty" else signature

    @staticmethod
    def known(order: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: fields[name] for name, _ in ORDER_TYPES[order]}

    def holder(self, number: int) -> str:
        """A member to debit: one of those who hold anything, as long as there are any."""
        holders = [member for member in self.members if self.model.balances[member]] or self.members
        return holders[number % len(holders)]

    def share(self, limit: int, share: int) -> int:
        return limit + 1 if share > 4 else max(1, limit * share // 4)

    @rule(partner=PARTNERS, offset=SEQUENCE_OFFSETS, credits_=CREDITS, forgery=FORGERIES)
    def issue(self, partner: int, offset: int, credits_: list[tuple[int, int]], forgery: str) -> None:
        items = [(self.members[member], amount) for member, amount in credits_]
        self.batch("Issue", partner, offset, items, forgery)

    @rule(kind=st.sampled_from(["Issue", "Reverse"]), items=ODD_ITEMS)
    def order_with_odd_items(self, kind: str, items: list[tuple[int, int]]) -> None:
        named = [(ZERO if member < 0 else self.members[member], amount) for member, amount in items]
        self.batch(kind, PARTNER_ID, 0, named, "none")

    @rule(
        partner=PARTNERS,
        offset=SEQUENCE_OFFSETS,
        member=MEMBERS,
        share=SHARES,
        void=st.sampled_from([False] * 5 + [True]),
        forgery=FORGERIES,
    )
    def reverse(self, partner: int, offset: int, member: int, share: int, void: bool, forgery: str) -> None:
        address = self.holder(member)
        terms = self.model.partners.get(partner)
        limit = min(self.model.balances[address], terms.net_issued if terms else 0)
        items = [] if void else [(address, self.share(limit, share))]
        self.batch("Reverse", partner, offset, items, forgery)

    @rule(expirer=st.sampled_from(EXPIRERS), offset=SEQUENCE_OFFSETS, share=SHARES, member=MEMBERS, forgery=FORGERIES)
    def expire(self, expirer: LocalAccount, offset: int, share: int, member: int, forgery: str) -> None:
        expirable = [address for address in self.members if self.model.expirable(address, self.chain.now())]
        address = (expirable or self.members)[member % len(expirable or self.members)]
        items = [(address, self.share(self.model.expirable(address, self.chain.now()), share))]
        sequence = max(0, self.model.expiry_sequence + 1 + offset)
        fields = {"sequence": sequence, "trailRoot": ROOT_HASH, "debits": pack(items), "partner": 1}
        self.submit(
            Batch(
                kind="Expire",
                sequence=sequence,
                items=tuple(items),
                expirer=expirer.address,
                signed_by=expirer.address if forgery == "none" else None,
            ),
            self.signed(expirer, "Expire", fields, forgery),
        )

    @rule(
        spenders=st.lists(st.tuples(MEMBERS, SHARES), min_size=1, max_size=3),
        partner=PARTNERS,
        offset=SEQUENCE_OFFSETS,
        life_s=st.sampled_from([-1, 0, 1, 60, 60, 60, 60]),
        forgery=FORGERIES,
    )
    def redeem(self, spenders: list[tuple[int, int]], partner: int, offset: int, life_s: int, forgery: str) -> None:
        orders, records = [], []
        nonces = self.model.nonces.copy()
        left = self.model.balances.copy()
        for number, share in spenders:
            member = self.holder(number)
            order = Redemption(
                member=member,
                amount=self.share(left[member], share),
                partner=partner,
                nonce=max(0, nonces[member] + offset),
                deadline=self.chain.now() + life_s,
            )
            nonces[member] += 1
            left[member] = max(0, left[member] - order.amount)
            records.append(order.record(self.signed(self.signers[member], "Redeem", vars(order), forgery)))
            orders.append(Spending(**vars(order), authorised=forgery == "none"))
        call = self.token.call.redeem(b"".join(records))

        def foretell(model: Model, now_s: int) -> list[Event]:
            return model.redeem(orders, now_s)

        if self.attempt("Redeem", call, foretell):
            self.accepted.append((call, foretell))

    @rule(number=st.integers(0, 10**6))
    def replay(self, number: int) -> None:
        """An order that took effect once is submitted again, byte for byte."""
        if self.accepted:
            call, foretell = self.accepted[number % len(self.accepted)]
            assert not self.attempt("Replay", call, foretell)

    @rule(sender=MEMBERS, receiver=MEMBERS, share=SHARES)
    def transfer(self, sender: int, receiver: int, share: int) -> None:
        source, target = self.holder(sender), self.members[receiver]
        if source not in self.chain.accounts:
            return  # A wallet spends by signature only.
        amount = self.share(self.model.balances[source], share)
        self.attempt(
            "Transfer",
            self.token.call.transfer(target, amount),
            lambda model, now_s: model.transfer(source, target, amount, now_s),
            source,
        )

    @rule(
        partner=PARTNERS,
        signer=st.sampled_from(PARTNER_KEYS),
        allowance=st.sampled_from([0, 40, 400, U56_MAX]),
        period_cap=st.sampled_from([30, 200, U56_MAX, U56_MAX]),
        active=st.sampled_from([True, True, True, False]),
    )
    def set_partner(self, partner: int, signer: LocalAccount, allowance: int, period_cap: int, active: bool) -> None:
        self.token.register(partner, signer.address, allowance=allowance, period_cap=period_cap, active=active)
        standing = self.model.partners.setdefault(partner, Partner(ZERO, 0, 0, active=False))
        standing.signer, standing.active = signer.address, active
        standing.allowance, standing.period_cap = allowance, period_cap

    @rule(lasting=st.sampled_from([False, False, True]))
    def pause_or_resume(self, lasting: bool) -> None:
        if not self.model.paused:
            self.token.run(self.token.call.pause(), self.token.roles.pauser)
        if not lasting or self.model.paused:
            self.token.run(self.token.call.unpause(), self.token.roles.admin)
        self.model.paused = lasting and not self.model.paused

    @rule(expirer=st.sampled_from(EXPIRERS))
    def grant_or_revoke_expirer(self, expirer: LocalAccount) -> None:
        role = self.token.call.EXPIRER_ROLE().call()
        held = expirer.address in self.model.expirers
        change = self.token.call.revokeRole if held else self.token.call.grantRole
        self.token.run(change(role, expirer.address), self.token.roles.admin)
        self.model.expirers ^= {expirer.address}

    @rule(unit_s=st.sampled_from([CAP_PERIOD_S, EPOCH_S, EPOCH_S]), count=st.integers(1, 3), early=st.integers(0, 2))
    def time_passes(self, unit_s: int, count: int, early: int) -> None:
        """To a boundary, or the last seconds before it."""
        target_s = (self.chain.now() // unit_s + count) * unit_s - early
        if target_s > self.chain.now():
            self.chain.travel(target_s)

    def word(self, slot: int) -> int:
        storage = self.chain.tester.backend.get_storage(to_canonical_address(self.token.contract.address), slot)
        return int(storage)

    def account_word(self, member: str) -> int:
        place = to_canonical_address(member).rjust(32, b"\x00") + SLOTS["_accounts"].to_bytes(32, "big")
        return self.word(int.from_bytes(keccak(place), "big"))

    @invariant()
    def balances_and_supply_agree(self) -> None:
        words = {member: self.account_word(member) for member in self.members}
        balances = {member: word & U64_MAX for member, word in words.items()}
        assert balances == {member: self.model.balances[member] for member in self.members}
        assert {member: word >> 192 & (2**40 - 1) for member, word in words.items()} == {
            member: self.model.nonces[member] for member in self.members
        }
        supply = self.word(SLOTS["_totalSupply"]) & (2**128 - 1)
        moved = self.model.moved
        assert sum(balances.values()) == supply
        assert supply == moved["Issue"] - moved["Reverse"] - moved["Redeem"] - moved["Expire"]

    @invariant()
    def protection_agrees(self) -> None:
        now_s = self.chain.now()
        epoch = now_s // EPOCH_S
        for member in self.members:
            word = self.account_word(member)
            age = epoch - (word >> 232)
            current, previous = word >> 64 & U64_MAX, word >> 128 & U64_MAX
            guaranteed = (current + previous, current, 0)[min(age, 2)]
            assert guaranteed == self.model.guaranteed(member, now_s)

    @invariant()
    def partners_agree(self) -> None:
        for number, partner in self.model.partners.items():
            place = number.to_bytes(32, "big") + SLOTS["_partners"].to_bytes(32, "big")
            counters = self.word(int.from_bytes(keccak(place), "big") + 1)
            assert counters & U64_MAX == partner.sequence
            assert counters >> 120 & U56_MAX == partner.net_issued


@pytest.mark.slow
@pytest.mark.timeout(900)  # Forty seconds of one core, which a busy machine may stretch.
def test_the_contract_follows_the_model(deployed: Deployed) -> None:
    TokenMachine.deployed = deployed
    TokenMachine.succeeded.clear()
    TokenMachine.refused.clear()
    run_state_machine_as_test(
        TokenMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            # Steps of a chain shrink slowly: the failing run is printed as it was found.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert {"Issue", "Issue void", "Reverse", "Reverse void", "Expire", "Redeem", "Transfer"} == set(
        TokenMachine.succeeded
    )
    assert set(TokenMachine.refused) >= {
        "AccessControlUnauthorizedAccount",
        "ERC20InsufficientBalance",
        "EnforcedPause",
        "LoyaltyAllowance",
        "LoyaltyAmount",
        "LoyaltyDeadline",
        "LoyaltyNonce",
        "LoyaltyPartnerInactive",
        "LoyaltyPartnerUnknown",
        "LoyaltyPeriodCap",
        "LoyaltyProtected",
        "LoyaltyReversal",
        "LoyaltySequence",
        "LoyaltySignature",
    }
