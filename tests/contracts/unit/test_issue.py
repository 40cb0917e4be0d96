"""Issuance: a partner's signed credits, inside its allowance and its period's cap."""

import pytest

from contracts.harness import (
    ANNA,
    BORIS,
    CAP_PERIOD_S,
    PARTNER,
    PARTNER_ID,
    ROOT_HASH,
    U56_MAX,
    U64_MAX,
    ZERO,
    Token,
    key,
    pack,
    transfer,
)

OTHER_ID = 2
OTHER = key("other partner")


def test_credits_each_item_and_says_so_in_order(token: Token) -> None:
    items = [(ANNA.address, 30), (BORIS.address, 12), (ANNA.address, 5)]
    assert token.run(token.issue(PARTNER, PARTNER_ID, 1, items)) == [
        transfer(ZERO, ANNA.address, 30),
        transfer(ZERO, BORIS.address, 12),
        transfer(ZERO, ANNA.address, 5),
        ("Issued", {"partner": PARTNER_ID, "sequence": 1, "trailRoot": ROOT_HASH, "total": 47}),
    ]
    assert (token.balance(ANNA.address), token.balance(BORIS.address), token.supply()) == (35, 12, 47)
    assert token.call.partnerSequence(PARTNER_ID).call() == 1


def test_anybody_may_submit(token: Token) -> None:
    token.run(token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 1)]), token.roles.stranger)
    assert token.balance(ANNA.address) == 1


def test_a_failed_relay_changes_nothing(token: Token) -> None:
    order = token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 1), (BORIS.address, 0)])
    receipt = token.chain.submit(order, token.roles.relayer)
    assert (receipt["status"], receipt["logs"]) == (0, [])
    assert (token.balance(ANNA.address), token.next_sequence()) == (0, 1)


@pytest.mark.parametrize("sequence", [0, 1, 3, U64_MAX])
def test_refuses_any_sequence_but_the_next(token: Token, sequence: int) -> None:
    token.fund((ANNA.address, 1))
    order = token.issue(PARTNER, PARTNER_ID, sequence, [(ANNA.address, 1)])
    assert token.refusal(order) == ("LoyaltySequence", {"expected": 2, "given": sequence})


def test_an_empty_list_voids_the_sequence(token: Token) -> None:
    assert token.run(token.issue(PARTNER, PARTNER_ID, 1, [])) == [
        ("Issued", {"partner": PARTNER_ID, "sequence": 1, "trailRoot": ROOT_HASH, "total": 0})
    ]
    superseded = token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 1)])
    assert token.refusal(superseded) == ("LoyaltySequence", {"expected": 2, "given": 1})
    token.run(token.issue(PARTNER, PARTNER_ID, 2, [(ANNA.address, 1)]))
    assert token.supply() == 1


def test_partners_have_lines_of_their_own(token: Token) -> None:
    token.register(OTHER_ID, OTHER.address)
    token.fund((ANNA.address, 1))
    token.fund((ANNA.address, 1))
    token.run(token.issue(OTHER, OTHER_ID, 1, [(ANNA.address, 1)]))
    assert (token.next_sequence(PARTNER_ID), token.next_sequence(OTHER_ID)) == (3, 2)


def test_refuses_a_partner_that_is_not_registered(token: Token) -> None:
    order = token.issue(PARTNER, OTHER_ID, 1, [(ANNA.address, 1)])
    assert token.refusal(order) == ("LoyaltyPartnerInactive", {"partner": OTHER_ID})


def test_refuses_a_suspended_partner_until_it_is_active_again(token: Token) -> None:
    order = token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 1)])
    token.register(PARTNER_ID, PARTNER.address, active=False)
    assert token.refusal(order) == ("LoyaltyPartnerInactive", {"partner": PARTNER_ID})
    token.register(PARTNER_ID, PARTNER.address)
    token.run(order)
    assert token.balance(ANNA.address) == 1


def test_one_poisoned_item_refuses_the_whole_order(token: Token) -> None:
    zero_receiver = token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 1), (ZERO, 1)])
    assert token.refusal(zero_receiver) == ("ERC20InvalidReceiver", {"receiver": ZERO})


@pytest.mark.parametrize("amount", [0, U64_MAX + 1, 2**96 - 1])
def test_refuses_amounts_outside_1_to_2_64(token: Token, amount: int) -> None:
    order = token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, amount)])
    assert token.refusal(order) == ("LoyaltyAmount", {"member": ANNA.address, "amount": amount})


@pytest.mark.parametrize("length", [1, 31, 33, 63])
def test_refuses_a_list_with_a_broken_item(token: Token, length: int) -> None:
    credits_ = (pack([(ANNA.address, 1)]) * 2)[:length]
    signature = token.sign(PARTNER, "Issue", partner=PARTNER_ID, sequence=1, trailRoot=ROOT_HASH, credits=credits_)
    order = token.call.issue(PARTNER_ID, 1, ROOT_HASH, credits_, signature)
    assert token.refusal(order) == ("LoyaltyPacked", {"length": length})


class TestAllowance:
    def test_may_be_used_to_the_last_token(self, token: Token) -> None:
        token.register(PARTNER_ID, PARTNER.address, allowance=100)
        token.fund((ANNA.address, 60))
        token.fund((ANNA.address, 40))
        order = token.issue(PARTNER, PARTNER_ID, 3, [(ANNA.address, 1)])
        assert token.refusal(order) == ("LoyaltyAllowance", {"partner": PARTNER_ID, "left": 0, "asked": 1})

    def test_counts_the_whole_order(self, token: Token) -> None:
        token.register(PARTNER_ID, PARTNER.address, allowance=100)
        order = token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 60), (BORIS.address, 41)])
        assert token.refusal(order) == ("LoyaltyAllowance", {"partner": PARTNER_ID, "left": 100, "asked": 101})

    def test_lowered_below_what_is_used_leaves_nothing(self, token: Token) -> None:
        token.fund((ANNA.address, 60))
        token.register(PARTNER_ID, PARTNER.address, allowance=10)
        order = token.issue(PARTNER, PARTNER_ID, 2, [(ANNA.address, 1)])
        assert token.refusal(order) == ("LoyaltyAllowance", {"partner": PARTNER_ID, "left": 0, "asked": 1})

    def test_comes_back_with_a_reversal(self, token: Token) -> None:
        token.register(PARTNER_ID, PARTNER.address, allowance=100)
        token.fund((ANNA.address, 100))
        token.run(token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, 30)]))
        token.fund((ANNA.address, 30))
        assert token.supply() == 100

    def test_a_voided_sequence_needs_none(self, token: Token) -> None:
        token.register(PARTNER_ID, PARTNER.address, allowance=0, period_cap=0)
        token.run(token.issue(PARTNER, PARTNER_ID, 1, []))
        assert token.next_sequence() == 2

    def test_unlimited_still_ends_at_2_56(self, token: Token) -> None:
        token.fund((ANNA.address, U56_MAX))
        order = token.issue(PARTNER, PARTNER_ID, 2, [(ANNA.address, 1)])
        assert token.refusal(order) == ("LoyaltyAllowance", {"partner": PARTNER_ID, "left": 0, "asked": 1})

    def test_sums_that_would_wrap_64_bits_are_refused(self, token: Token) -> None:
        items = [(ANNA.address, U64_MAX), (ANNA.address, U64_MAX), (BORIS.address, 2)]
        order = token.issue(PARTNER, PARTNER_ID, 1, items)
        assert token.refusal(order) == ("LoyaltySupply", {"left": U64_MAX, "asked": 2 * U64_MAX + 2})


class TestPeriodCap:
    def next_period(self, token: Token) -> None:
        token.chain.travel((token.chain.now() // CAP_PERIOD_S + 1) * CAP_PERIOD_S)

    def test_limits_what_one_period_issues(self, token: Token) -> None:
        token.register(PARTNER_ID, PARTNER.address, period_cap=100)
        token.fund((ANNA.address, 70))
        order = token.issue(PARTNER, PARTNER_ID, 2, [(ANNA.address, 31)])
        assert token.refusal(order) == ("LoyaltyPeriodCap", {"partner": PARTNER_ID, "left": 30, "asked": 31})
        token.fund((ANNA.address, 30))
        assert token.supply() == 100

    def test_starts_anew_in_the_next_period(self, token: Token) -> None:
        token.register(PARTNER_ID, PARTNER.address, period_cap=100)
        token.fund((ANNA.address, 100))
        self.next_period(token)
        assert token.call.partnerOf(PARTNER_ID).call()[6] == 0
        token.fund((ANNA.address, 100))
        order = token.issue(PARTNER, PARTNER_ID, 3, [(ANNA.address, 1)])
        assert token.refusal(order) == ("LoyaltyPeriodCap", {"partner": PARTNER_ID, "left": 0, "asked": 1})

    def test_does_not_come_back_with_a_reversal(self, token: Token) -> None:
        token.register(PARTNER_ID, PARTNER.address, period_cap=100)
        token.fund((ANNA.address, 100))
        token.run(token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, 100)]))
        order = token.issue(PARTNER, PARTNER_ID, 3, [(ANNA.address, 1)])
        assert token.refusal(order) == ("LoyaltyPeriodCap", {"partner": PARTNER_ID, "left": 0, "asked": 1})

    def test_lowered_below_what_is_used_leaves_nothing(self, token: Token) -> None:
        token.fund((ANNA.address, 60))
        token.register(PARTNER_ID, PARTNER.address, period_cap=59)
        order = token.issue(PARTNER, PARTNER_ID, 2, [(ANNA.address, 1)])
        assert token.refusal(order) == ("LoyaltyPeriodCap", {"partner": PARTNER_ID, "left": 0, "asked": 1})
