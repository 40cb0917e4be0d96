"""Reversal: a partner takes back what it issued, and no more."""

import pytest

from contracts.harness import ANNA, BORIS, PARTNER, PARTNER_ID, ROOT_HASH, U64_MAX, ZERO, Token, key, pack, transfer

OTHER_ID = 2
OTHER = key("other partner")


def test_debits_each_item_and_says_so_in_order(token: Token) -> None:
    token.fund((ANNA.address, 30), (BORIS.address, 20))
    items = [(ANNA.address, 5), (BORIS.address, 20), (ANNA.address, 1)]
    assert token.run(token.reverse(PARTNER, PARTNER_ID, 2, items), token.roles.stranger) == [
        transfer(ANNA.address, ZERO, 5),
        transfer(BORIS.address, ZERO, 20),
        transfer(ANNA.address, ZERO, 1),
        ("Reversed", {"partner": PARTNER_ID, "sequence": 2, "trailRoot": ROOT_HASH, "total": 26}),
    ]
    assert (token.balance(ANNA.address), token.balance(BORIS.address), token.supply()) == (24, 0, 24)


def test_lowers_what_the_partner_has_issued(token: Token) -> None:
    token.fund((ANNA.address, 30))
    token.run(token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, 10)]))
    net_issued, period_issued = token.call.partnerOf(PARTNER_ID).call()[5:7]
    assert (net_issued, period_issued) == (20, 30)


def test_shares_the_line_with_issuance(token: Token) -> None:
    token.fund((ANNA.address, 30))
    order = token.reverse(PARTNER, PARTNER_ID, 1, [(ANNA.address, 1)])
    assert token.refusal(order) == ("LoyaltySequence", {"expected": 2, "given": 1})


def test_an_empty_list_voids_the_sequence(token: Token) -> None:
    assert token.run(token.reverse(PARTNER, PARTNER_ID, 1, [])) == [
        ("Reversed", {"partner": PARTNER_ID, "sequence": 1, "trailRoot": ROOT_HASH, "total": 0})
    ]
    token.fund((ANNA.address, 1))
    assert token.next_sequence() == 3


def test_takes_no_more_than_the_member_has(token: Token) -> None:
    token.fund((ANNA.address, 30), (BORIS.address, 30))
    order = token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, 20), (ANNA.address, 11)])
    assert token.refusal(order) == (
        "ERC20InsufficientBalance",
        {"sender": ANNA.address, "balance": 10, "needed": 11},
    )


def test_takes_no_more_than_the_partner_issued(token: Token) -> None:
    token.register(OTHER_ID, OTHER.address)
    token.fund((ANNA.address, 100))
    token.run(token.issue(OTHER, OTHER_ID, 1, [(ANNA.address, 10)]))
    order = token.reverse(OTHER, OTHER_ID, 2, [(ANNA.address, 11)])
    assert token.refusal(order) == ("LoyaltyReversal", {"partner": OTHER_ID, "left": 10, "asked": 11})
    token.run(token.reverse(OTHER, OTHER_ID, 2, [(ANNA.address, 10)]))
    assert token.refusal(token.reverse(OTHER, OTHER_ID, 3, [(ANNA.address, 1)])) == (
        "LoyaltyReversal",
        {"partner": OTHER_ID, "left": 0, "asked": 1},
    )


def test_reaches_protected_tokens(token: Token) -> None:
    token.fund((ANNA.address, 30))
    assert token.call.expirableOf(ANNA.address).call() == 0
    token.run(token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, 30)]))
    assert token.balance(ANNA.address) == 0


def test_stays_possible_for_a_suspended_partner(token: Token) -> None:
    token.fund((ANNA.address, 30))
    token.register(PARTNER_ID, PARTNER.address, active=False)
    token.run(token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, 30)]))
    assert token.supply() == 0


def test_refuses_a_partner_that_was_never_registered(token: Token) -> None:
    order = token.reverse(PARTNER, OTHER_ID, 1, [])
    assert token.refusal(order) == ("LoyaltyPartnerUnknown", {"partner": OTHER_ID})


def test_refuses_the_zero_address(token: Token) -> None:
    order = token.reverse(PARTNER, PARTNER_ID, 1, [(ZERO, 1)])
    assert token.refusal(order) == ("ERC20InvalidSender", {"sender": ZERO})


@pytest.mark.parametrize("amount", [0, U64_MAX + 1, 2**96 - 1])
def test_refuses_amounts_outside_1_to_2_64(token: Token, amount: int) -> None:
    token.fund((ANNA.address, 30))
    order = token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, amount)])
    assert token.refusal(order) == ("LoyaltyAmount", {"member": ANNA.address, "amount": amount})


def test_refuses_a_list_with_a_broken_item(token: Token) -> None:
    debits = pack([(ANNA.address, 1)]) + b"\x00"
    signature = token.sign(PARTNER, "Reverse", partner=PARTNER_ID, sequence=1, trailRoot=ROOT_HASH, debits=debits)
    order = token.call.reverse(PARTNER_ID, 1, ROOT_HASH, debits, signature)
    assert token.refusal(order) == ("LoyaltyPacked", {"length": 33})
