"""Redemption: the holder's signed order burns, once, and names the partner that honours the reward."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.harness import (
    ANNA,
    BORIS,
    PARTNER,
    PARTNER_ID,
    U40_MAX,
    U64_MAX,
    ZERO,
    Redemption,
    Token,
    transfer,
)

SIGNATURE_SIZE = 65


@pytest.fixture
def funded(token: Token) -> Token:
    token.fund((ANNA.address, 100), (BORIS.address, 50))
    return token


def order(token: Token, **fields: Any) -> Redemption:
    standard = Redemption(member=ANNA.address, amount=40, partner=PARTNER_ID, nonce=0, deadline=token.chain.now() + 60)
    return replace(standard, **fields)


def redeemed(redemption: Redemption) -> tuple[str, dict[str, object]]:
    return "Redeemed", {
        "member": redemption.member,
        "partner": redemption.partner,
        "nonce": redemption.nonce,
        "reference_": redemption.reference,
    }


def test_burns_and_says_for_what(funded: Token) -> None:
    redemption = order(funded, reference=b"\x5a" * 32)
    assert funded.run(funded.redeem((ANNA, redemption)), funded.roles.stranger) == [
        transfer(ANNA.address, ZERO, 40),
        redeemed(redemption),
    ]
    assert (funded.balance(ANNA.address), funded.supply()) == (60, 110)
    assert funded.call.nonces(ANNA.address).call() == 1
    assert funded.call.partnerOf(PARTNER_ID).call()[5] == 150


def test_one_call_carries_many(funded: Token) -> None:
    first, second, third = (
        order(funded),
        order(funded, member=BORIS.address, amount=50),
        order(funded, amount=60, nonce=1),
    )
    assert funded.run(funded.redeem((ANNA, first), (BORIS, second), (ANNA, third))) == [
        transfer(ANNA.address, ZERO, 40),
        redeemed(first),
        transfer(BORIS.address, ZERO, 50),
        redeemed(second),
        transfer(ANNA.address, ZERO, 60),
        redeemed(third),
    ]
    assert funded.supply() == 0


def test_all_or_none(funded: Token) -> None:
    call = funded.redeem((ANNA, order(funded)), (BORIS, order(funded, member=BORIS.address, amount=51)))
    assert funded.refusal(call) == (
        "ERC20InsufficientBalance",
        {"sender": BORIS.address, "balance": 50, "needed": 51},
    )


@pytest.mark.parametrize("nonce", [1, 7, U40_MAX])
def test_refuses_any_nonce_but_the_next(funded: Token, nonce: int) -> None:
    call = funded.redeem((ANNA, order(funded, nonce=nonce)))
    assert funded.refusal(call) == ("LoyaltyNonce", {"member": ANNA.address, "expected": 0, "given": nonce})


def test_refuses_reordered_redemptions(funded: Token) -> None:
    call = funded.redeem((ANNA, order(funded, nonce=1)), (ANNA, order(funded, nonce=0)))
    assert funded.refusal(call) == ("LoyaltyNonce", {"member": ANNA.address, "expected": 0, "given": 1})


def test_is_valid_in_its_last_second_and_no_longer(funded: Token) -> None:
    redemption = order(funded)
    call = funded.redeem((ANNA, redemption))
    funded.chain.travel(redemption.deadline)
    assert call.call() == []
    funded.chain.travel(redemption.deadline + 1)
    assert funded.refusal(call) == ("LoyaltyDeadline", {"deadline": redemption.deadline})


def test_refuses_an_unknown_partner(funded: Token) -> None:
    for partner in (0, 9):
        call = funded.redeem((ANNA, order(funded, partner=partner)))
        assert funded.refusal(call) == ("LoyaltyPartnerInactive", {"partner": partner})


def test_refuses_a_suspended_partner_even_behind_an_active_one(funded: Token) -> None:
    funded.register(2, PARTNER.address, active=False)
    call = funded.redeem((ANNA, order(funded)), (ANNA, order(funded, partner=2, nonce=1)))
    assert funded.refusal(call) == ("LoyaltyPartnerInactive", {"partner": 2})
    funded.register(2, PARTNER.address)
    funded.run(call)
    assert funded.balance(ANNA.address) == 20


@pytest.mark.parametrize("amount", [101, U64_MAX])
def test_takes_no_more_than_the_balance(funded: Token, amount: int) -> None:
    call = funded.redeem((ANNA, order(funded, amount=amount)))
    assert funded.refusal(call) == (
        "ERC20InsufficientBalance",
        {"sender": ANNA.address, "balance": 100, "needed": amount},
    )


def test_refuses_to_redeem_nothing(funded: Token) -> None:
    call = funded.redeem((ANNA, order(funded, amount=0)))
    assert funded.refusal(call) == ("LoyaltyAmount", {"member": ANNA.address, "amount": 0})


def test_the_zero_address_redeems_nothing(funded: Token) -> None:
    record = order(funded, member=ZERO, amount=1).record(b"\x00" * SIGNATURE_SIZE)
    assert funded.refusal(funded.call.redeem(record)) == ("LoyaltySignature", {"signer": ZERO})


@pytest.mark.parametrize("field", ["amount", "partner", "reference", "deadline", "member"])
def test_every_field_is_signed(funded: Token, field: str) -> None:
    funded.register(2, PARTNER.address)
    redemption = order(funded)
    signature = funded.redemption(ANNA, redemption)[-SIGNATURE_SIZE:]
    changed: dict[str, Any] = {
        "amount": {"amount": 41},
        "partner": {"partner": 2},
        "reference": {"reference": b"\x08" * 32},
        "deadline": {"deadline": redemption.deadline + 1},
        "member": {"member": BORIS.address},
    }[field]
    forged = replace(redemption, **changed)
    call = funded.call.redeem(forged.record(signature))
    assert funded.refusal(call) == ("LoyaltySignature", {"signer": forged.member})


class TestPacking:
    def test_refuses_an_empty_call(self, funded: Token) -> None:
        assert funded.refusal(funded.call.redeem(b"")) == ("LoyaltyPacked", {"length": 0})

    @pytest.mark.parametrize("size", [1, 75, 76, 140])
    def test_refuses_a_record_cut_short(self, funded: Token, size: int) -> None:
        record = funded.redemption(ANNA, order(funded))
        assert len(record) == 141
        assert funded.refusal(funded.call.redeem(record[:size])) == ("LoyaltyPacked", {"length": size})

    def test_refuses_a_cut_record_behind_a_whole_one(self, funded: Token) -> None:
        first = funded.redemption(ANNA, order(funded))
        second = funded.redemption(BORIS, order(funded, member=BORIS.address))
        call = funded.call.redeem(first + second[:-1])
        assert funded.refusal(call) == ("LoyaltyPacked", {"length": 281})

    def test_a_signature_cannot_borrow_from_the_next_record(self, funded: Token) -> None:
        """The length that a record claims ends it, whatever stands behind."""
        record = bytearray(funded.redemption(ANNA, order(funded)))
        record[74:76] = (64).to_bytes(2, "big")
        assert funded.refusal(funded.call.redeem(bytes(record))) == ("LoyaltySignature", {"signer": ANNA.address})

    def test_the_longest_length_is_no_way_out(self, funded: Token) -> None:
        record = bytearray(funded.redemption(ANNA, order(funded)))
        record[74:76] = b"\xff\xff"
        assert funded.refusal(funded.call.redeem(bytes(record))) == ("LoyaltyPacked", {"length": 141})
