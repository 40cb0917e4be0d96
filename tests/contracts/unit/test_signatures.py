"""What counts as a signature: exactly this order, on this chain and contract, by this signer, in one spelling."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from eth_account.signers.local import LocalAccount
from eth_keys.constants import SECPK1_N
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from contracts.harness import ANNA, BORIS, PARTNER, PARTNER_ID, ROOT_HASH, Redemption, Token, key, pack

ITEM = pack([(ANNA.address, 10)])
Submit = Callable[[bytes], ContractFunction]


class Signed(NamedTuple):
    """One valid order, and how to submit it under another signature."""

    name: str
    signer: LocalAccount
    fields: dict[str, Any]
    submit: Submit

    def signature(self, token: Token, domain: dict[str, Any] | None = None) -> bytes:
        return token.sign(self.signer, self.name, domain, **self.fields)


def batch(token: Token, name: str, function: str, list_name: str, sequence: int) -> Signed:
    fields = {"partner": PARTNER_ID, "sequence": sequence, "trailRoot": ROOT_HASH, list_name: ITEM}
    return Signed(
        name,
        PARTNER,
        fields,
        lambda signature: token.call[function](PARTNER_ID, sequence, ROOT_HASH, ITEM, signature),
    )


def expiry(token: Token) -> Signed:
    expirer = token.roles.expirer
    return Signed(
        "Expire",
        expirer,
        {"sequence": 1, "trailRoot": ROOT_HASH, "debits": ITEM},
        lambda signature: token.call.expire(expirer.address, 1, ROOT_HASH, ITEM, signature),
    )


def redemption(token: Token) -> Signed:
    order = Redemption(member=ANNA.address, amount=10, partner=PARTNER_ID, nonce=0, deadline=token.chain.now() + 60)
    return Signed(
        "Redeem",
        ANNA,
        dict(vars(order)),
        lambda signature: token.call.redeem(order.record(signature)),
    )


@pytest.fixture
def aged(token: Token) -> Token:
    """Anna holds 100 tokens that any order may move."""
    token.fund((ANNA.address, 100))
    token.to_epoch(token.epoch() + 2)
    return token


@pytest.fixture(params=["issue", "reverse", "expire", "redeem"])
def signed(aged: Token, request: pytest.FixtureRequest) -> Signed:
    if request.param == "issue":
        return batch(aged, "Issue", "issue", "credits", 2)
    if request.param == "reverse":
        return batch(aged, "Reverse", "reverse", "debits", 2)
    return expiry(aged) if request.param == "expire" else redemption(aged)


def refused(aged: Token, signed: Signed, signature: bytes) -> None:
    assert aged.refusal(signed.submit(signature)) == ("LoyaltySignature", {"signer": signed.signer.address})


def test_the_right_one_is_accepted_once(aged: Token, signed: Signed) -> None:
    call = signed.submit(signed.signature(aged))
    assert len(aged.run(call, aged.roles.stranger)) == 2
    assert aged.refusal(call)[0] in {"LoyaltySequence", "LoyaltyNonce"}


@pytest.mark.parametrize(
    "other",
    [{"chainId": 1}, {"verifyingContract": "0x" + "11" * 20}, {"name": "Merau"}, {"version": "2"}],
    ids=lambda other: next(iter(other)),
)
def test_refuses_any_other_domain(aged: Token, signed: Signed, other: dict[str, Any]) -> None:
    refused(aged, signed, signed.signature(aged, aged.domain | other))


def test_refuses_a_signature_for_a_sister_contract(aged: Token, signed: Signed, open_token: Token) -> None:
    refused(aged, signed, signed.signature(aged, open_token.domain))


def test_refuses_another_signer(aged: Token, signed: Signed) -> None:
    refused(aged, signed, signed._replace(signer=key("somebody")).signature(aged))


def test_refuses_the_high_s_twin(aged: Token, signed: Signed) -> None:
    signature = signed.signature(aged)
    s = SECPK1_N - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + s.to_bytes(32, "big") + bytes([27 + 28 - signature[64]])
    refused(aged, signed, twin)


def test_refuses_the_compact_form(aged: Token, signed: Signed) -> None:
    """ERC-2098: 64 bytes, the parity in the top bit of s."""
    signature = signed.signature(aged)
    vs = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    refused(aged, signed, signature[:32] + vs.to_bytes(32, "big"))


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_refuses_any_v_but_27_and_28(aged: Token, signed: Signed, v: int) -> None:
    refused(aged, signed, signed.signature(aged)[:64] + bytes([v]))


@pytest.mark.parametrize("length", [0, 1, 64, 66, 130])
def test_refuses_any_other_length(aged: Token, signed: Signed, length: int) -> None:
    refused(aged, signed, (signed.signature(aged) * 2)[:length])


def test_refuses_zeros(aged: Token, signed: Signed) -> None:
    refused(aged, signed, b"\x00" * 65)
    refused(aged, signed, b"\x00" * 64 + b"\x1b")


@pytest.mark.parametrize(("name", "into"), [("Issue", "reverse"), ("Reverse", "issue")])
def test_refuses_a_signature_over_the_sister_order(aged: Token, name: str, into: str) -> None:
    """Issue and Reverse carry the same values; the type hash alone tells them apart."""
    list_name = {"Issue": "credits", "Reverse": "debits"}[name]
    order = batch(aged, name, into, list_name, 2)
    refused(aged, order, order.signature(aged))


@pytest.mark.parametrize("field", ["partner", "sequence", "trailRoot", "list"])
@pytest.mark.parametrize("name", ["Issue", "Reverse"])
def test_every_field_of_a_batch_is_signed(aged: Token, name: str, field: str) -> None:
    function, list_name = {"Issue": ("issue", "credits"), "Reverse": ("reverse", "debits")}[name]
    aged.register(2, PARTNER.address)
    values: dict[str, Any] = {"partner": PARTNER_ID, "sequence": 2, "trailRoot": ROOT_HASH, "list": ITEM}
    other = {"partner": 2, "sequence": 1, "trailRoot": b"\x01" * 32, "list": ITEM * 2}
    signed_values = values | {field: other[field]}
    signature = aged.sign(PARTNER, name, **{list_name if key_ == "list" else key_: value
                                            for key_, value in signed_values.items()})  # fmt: skip
    call = aged.call[function](*values.values(), signature)
    assert aged.refusal(call) == ("LoyaltySignature", {"signer": PARTNER.address})


@pytest.mark.parametrize("field", ["sequence", "trailRoot", "debits"])
def test_every_field_of_an_expiry_is_signed(aged: Token, field: str) -> None:
    other = {"sequence": 2, "trailRoot": b"\x01" * 32, "debits": ITEM * 2}
    order = expiry(aged)
    changed = order._replace(fields=order.fields | {field: other[field]})
    refused(aged, order, changed.signature(aged))


def test_a_rotated_key_goes_on_where_the_old_one_stopped(aged: Token) -> None:
    successor = key("second partner key")
    aged.register(PARTNER_ID, successor.address)
    old = aged.issue(PARTNER, PARTNER_ID, 2, [(ANNA.address, 1)])
    assert aged.refusal(old) == ("LoyaltySignature", {"signer": successor.address})
    aged.run(aged.issue(successor, PARTNER_ID, 2, [(ANNA.address, 1)]))
    assert aged.balance(ANNA.address) == 101


class TestContractWallets:
    """ERC-1271: the wallet is asked, by static call, when no key matches."""

    OWNER = key("wallet owner")

    @pytest.fixture
    def wallet(self, aged: Token) -> Contract:
        return aged.chain.deploy("SmartWallet", self.OWNER.address)

    def test_a_wallet_redeems_by_its_owners_signature(self, aged: Token, wallet: Contract) -> None:
        aged.fund((wallet.address, 30))
        order = Redemption(
            member=wallet.address, amount=30, partner=PARTNER_ID, nonce=0, deadline=aged.chain.now() + 60
        )
        stranger = aged.redeem((BORIS, order))
        assert aged.refusal(stranger) == ("LoyaltySignature", {"signer": wallet.address})
        assert len(aged.run(aged.redeem((self.OWNER, order)))) == 2
        assert aged.balance(wallet.address) == 0
        assert aged.refusal(aged.redeem((self.OWNER, order)))[0] == "LoyaltyNonce"

    def test_a_wallet_signs_for_a_partner(self, aged: Token, wallet: Contract) -> None:
        aged.register(2, wallet.address)
        assert aged.refusal(aged.issue(BORIS, 2, 1, [(ANNA.address, 5)])) == (
            "LoyaltySignature",
            {"signer": wallet.address},
        )
        aged.run(aged.issue(self.OWNER, 2, 1, [(ANNA.address, 5)]))
        aged.run(aged.reverse(self.OWNER, 2, 2, [(ANNA.address, 5)]))
        assert aged.balance(ANNA.address) == 100

    def test_a_wallet_signs_expiry(self, aged: Token, wallet: Contract) -> None:
        aged.run(aged.call.grantRole(aged.call.EXPIRER_ROLE().call(), wallet.address), aged.roles.admin)
        signature = aged.sign(self.OWNER, "Expire", sequence=1, trailRoot=ROOT_HASH, debits=ITEM)
        aged.run(aged.call.expire(wallet.address, 1, ROOT_HASH, ITEM, signature))
        assert aged.balance(ANNA.address) == 90

    @pytest.mark.parametrize("answer", ["ffffffff", "1626ba7f", "00000001"])
    def test_any_answer_but_the_magic_value_refuses(self, aged: Token, wallet: Contract, answer: str) -> None:
        aged.register(2, wallet.address)
        aged.chain.mine(wallet.functions.setAnswer(bytes.fromhex(answer)), aged.roles.stranger)
        order = aged.issue(self.OWNER, 2, 1, [(ANNA.address, 5)])
        assert aged.refusal(order) == ("LoyaltySignature", {"signer": wallet.address})

    def test_a_contract_that_is_no_wallet_signs_nothing(self, aged: Token) -> None:
        yardstick = aged.chain.deploy("BatchMint")
        aged.register(2, yardstick.address)
        order = aged.issue(BORIS, 2, 1, [(ANNA.address, 5)])
        assert aged.refusal(order) == ("LoyaltySignature", {"signer": yardstick.address})
