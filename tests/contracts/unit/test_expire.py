"""Expiry and the life that the contract guarantees: the epoch of a credit and the whole next one."""

import pytest

from contracts.harness import (
    ANNA,
    BORIS,
    PARTNER,
    PARTNER_ID,
    ROOT_HASH,
    ZERO,
    Redemption,
    Token,
    key,
    pack,
    transfer,
)


@pytest.fixture
def aged(token: Token) -> Token:
    """Anna holds 30 tokens and Boris 20, all beyond their guaranteed life."""
    token.fund((ANNA.address, 30), (BORIS.address, 20))
    token.to_epoch(token.epoch() + 2)
    return token


def test_debits_each_item_and_says_so_in_order(aged: Token) -> None:
    order = aged.expire(aged.roles.expirer, 1, [(ANNA.address, 10), (BORIS.address, 20), (ANNA.address, 20)])
    assert aged.run(order, aged.roles.stranger) == [
        transfer(ANNA.address, ZERO, 10),
        transfer(BORIS.address, ZERO, 20),
        transfer(ANNA.address, ZERO, 20),
        ("Expired", {"sequence": 1, "trailRoot": ROOT_HASH, "total": 50}),
    ]
    assert (aged.supply(), aged.call.expirySequence().call()) == (0, 1)


def test_does_not_touch_what_the_partner_issued(aged: Token) -> None:
    aged.run(aged.expire(aged.roles.expirer, 1, [(ANNA.address, 30)]))
    assert aged.call.partnerOf(PARTNER_ID).call()[5] == 50


@pytest.mark.parametrize("sequence", [0, 1, 3])
def test_refuses_any_sequence_but_the_next(aged: Token, sequence: int) -> None:
    aged.run(aged.expire(aged.roles.expirer, 1, [(ANNA.address, 1)]))
    order = aged.expire(aged.roles.expirer, sequence, [(ANNA.address, 1)])
    assert aged.refusal(order) == ("LoyaltySequence", {"expected": 2, "given": sequence})


def test_an_empty_list_voids_the_sequence(token: Token) -> None:
    assert token.run(token.expire(token.roles.expirer, 1, [])) == [
        ("Expired", {"sequence": 1, "trailRoot": ROOT_HASH, "total": 0})
    ]
    assert token.call.expirySequence().call() == 1


def test_refuses_a_signer_without_the_role(aged: Token) -> None:
    stranger = key("no expirer")
    role = aged.call.EXPIRER_ROLE().call()
    assert aged.refusal(aged.expire(stranger, 1, [(ANNA.address, 1)])) == (
        "AccessControlUnauthorizedAccount",
        {"account": stranger.address, "neededRole": role},
    )


def test_a_revoked_expirer_signs_in_vain_and_its_successor_goes_on(aged: Token) -> None:
    successor = key("second expirer")
    role = aged.call.EXPIRER_ROLE().call()
    aged.run(aged.expire(aged.roles.expirer, 1, [(ANNA.address, 1)]))
    aged.run(aged.call.grantRole(role, successor.address), aged.roles.admin)
    aged.run(aged.call.revokeRole(role, aged.roles.expirer.address), aged.roles.admin)
    assert aged.refusal(aged.expire(aged.roles.expirer, 2, [(ANNA.address, 1)]))[0] == (
        "AccessControlUnauthorizedAccount"
    )
    aged.run(aged.expire(successor, 2, [(ANNA.address, 1)]))
    assert aged.balance(ANNA.address) == 28


def test_the_role_granted_to_the_zero_address_signs_nothing(aged: Token) -> None:
    aged.run(aged.call.grantRole(aged.call.EXPIRER_ROLE().call(), ZERO), aged.roles.admin)
    order = aged.call.expire(ZERO, 1, ROOT_HASH, pack([(ANNA.address, 1)]), b"\x00" * 65)
    assert aged.refusal(order) == ("LoyaltySignature", {"signer": ZERO})


def test_takes_no_more_than_the_balance(aged: Token) -> None:
    order = aged.expire(aged.roles.expirer, 1, [(ANNA.address, 31)])
    assert aged.refusal(order) == ("LoyaltyProtected", {"member": ANNA.address, "expirable": 30, "asked": 31})


@pytest.mark.parametrize(("amount", "error"), [(0, "LoyaltyAmount"), (2**64, "LoyaltyAmount")])
def test_refuses_amounts_outside_1_to_2_64(aged: Token, amount: int, error: str) -> None:
    order = aged.expire(aged.roles.expirer, 1, [(ANNA.address, amount)])
    assert aged.refusal(order) == (error, {"member": ANNA.address, "amount": amount})


def test_refuses_the_zero_address(aged: Token) -> None:
    order = aged.expire(aged.roles.expirer, 1, [(ZERO, 1)])
    assert aged.refusal(order) == ("ERC20InvalidSender", {"sender": ZERO})


@pytest.mark.parametrize(("boundaries", "expirable"), [(0, 0), (1, 0), (2, 30), (3, 30), (7, 30)])
def test_a_credit_is_safe_for_its_epoch_and_the_next(token: Token, boundaries: int, expirable: int) -> None:
    start = token.epoch() + 1
    token.to_epoch(start)
    token.fund((ANNA.address, 30))
    token.chain.travel((start + boundaries + 1) * token.config["epochLength"] - 1)
    assert token.call.expirableOf(ANNA.address).call() == expirable
    order = token.expire(token.roles.expirer, 1, [(ANNA.address, expirable + 1)])
    assert token.refusal(order) == (
        "LoyaltyProtected",
        {"member": ANNA.address, "expirable": expirable, "asked": expirable + 1},
    )


def test_each_epoch_protects_its_own_credits(token: Token) -> None:
    expirable = []
    start = token.epoch() + 1
    for offset, amount in enumerate((1, 10, 100, 0, 0)):
        token.to_epoch(start + offset)
        if amount:
            token.fund((ANNA.address, amount))
        expirable.append(token.call.expirableOf(ANNA.address).call())
    assert expirable == [0, 0, 1, 11, 111]


def test_the_counters_roll_when_the_account_is_credited(token: Token) -> None:
    start = token.epoch() + 1
    seen = []
    for offset, amount in ((0, 5), (0, 2), (1, 10), (3, 40), (6, 80)):
        token.to_epoch(start + offset) if start + offset != token.epoch() else None
        token.fund((ANNA.address, amount))
        _, current, previous, _, epoch = token.call.accountOf(ANNA.address).call()
        seen.append((current, previous, epoch - start))
    assert seen == [(5, 0, 0), (7, 0, 0), (10, 7, 1), (40, 0, 3), (80, 0, 6)]


def test_spending_takes_unprotected_tokens_first(token: Token) -> None:
    """Debits leave the counters alone, so the guarantee errs on the holder's side."""
    token.fund((ANNA.address, 30))
    token.to_epoch(token.epoch() + 2)
    token.fund((ANNA.address, 8))
    token.run(token.reverse(PARTNER, PARTNER_ID, 3, [(ANNA.address, 20)]))
    assert token.call.expirableOf(ANNA.address).call() == 10
    redemption = Redemption(
        member=ANNA.address, amount=13, partner=PARTNER_ID, nonce=0, deadline=token.chain.now() + 60
    )
    token.run(token.redeem((ANNA, redemption)))
    assert (token.balance(ANNA.address), token.call.expirableOf(ANNA.address).call()) == (5, 0)


def test_expiry_stops_at_what_is_protected(token: Token) -> None:
    token.fund((ANNA.address, 30))
    token.to_epoch(token.epoch() + 2)
    token.fund((ANNA.address, 8))
    order = token.expire(token.roles.expirer, 1, [(ANNA.address, 20), (ANNA.address, 11)])
    assert token.refusal(order) == ("LoyaltyProtected", {"member": ANNA.address, "expirable": 10, "asked": 11})
    token.run(token.expire(token.roles.expirer, 1, [(ANNA.address, 30)]))
    assert token.balance(ANNA.address) == 8
