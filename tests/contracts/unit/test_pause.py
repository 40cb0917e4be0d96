"""A pause stops every balance change, and nothing else."""

from collections.abc import Callable

import pytest
from web3.contract.contract import ContractFunction

from contracts.harness import ANNA, BORIS, NOTICE_S, PARTNER, PARTNER_ID, Redemption, Token


def redemption(token: Token) -> ContractFunction:
    return token.redeem(
        (
            ANNA,
            Redemption(member=ANNA.address, amount=1, partner=PARTNER_ID, nonce=0, deadline=token.chain.now() + 10**9),
        )
    )


CHANGES: dict[str, Callable[[Token], ContractFunction]] = {
    "issue": lambda token: token.issue(PARTNER, PARTNER_ID, 2, [(ANNA.address, 1)]),
    "void": lambda token: token.issue(PARTNER, PARTNER_ID, 2, []),
    "reverse": lambda token: token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, 1)]),
    "expire": lambda token: token.expire(token.roles.expirer, 1, [(ANNA.address, 1)]),
    "redeem": redemption,
    "transfer": lambda token: token.call.transfer(BORIS.address, 0),
    "transferFrom": lambda token: token.call.transferFrom(ANNA.address, BORIS.address, 0),
}


@pytest.fixture
def paused(open_token: Token) -> Token:
    """Anna holds 100 tokens that any order could move, were it not for the pause."""
    open_token.fund((ANNA.address, 100))
    open_token.to_epoch(open_token.epoch() + 2)
    assert open_token.run(open_token.call.pause(), open_token.roles.pauser) == [
        ("Paused", {"account": open_token.roles.pauser})
    ]
    return open_token


@pytest.mark.parametrize("name", CHANGES)
def test_stops_the_change_until_the_admin_lifts_it(paused: Token, name: str) -> None:
    call = CHANGES[name](paused)
    assert paused.refusal(call) == ("EnforcedPause", {})
    assert paused.refusal(paused.call.multicall([call._encode_transaction_data()])) == ("EnforcedPause", {})
    assert paused.run(paused.call.unpause(), paused.roles.admin) == [("Unpaused", {"account": paused.roles.admin})]
    paused.run(call)


def test_keeps_administration_and_views_open(paused: Token) -> None:
    paused.register(PARTNER_ID, PARTNER.address, active=False)
    effective_at = paused.chain.now() + NOTICE_S + 10
    paused.run(paused.call.publishTerms(b"\x01" * 32, "", effective_at), paused.roles.admin)
    paused.run(paused.call.approve(BORIS.address, 5), paused.roles.stranger)
    assert paused.call.paused().call() is True
    assert paused.balance(ANNA.address) == paused.supply() == 100


def test_cannot_be_paused_twice_or_lifted_twice(paused: Token) -> None:
    assert paused.refusal(paused.call.pause(), paused.roles.pauser) == ("EnforcedPause", {})
    paused.run(paused.call.unpause(), paused.roles.admin)
    assert paused.refusal(paused.call.unpause(), paused.roles.admin) == ("ExpectedPause", {})


def test_shares_its_word_with_supply_and_expiry_without_harm(paused: Token) -> None:
    paused.run(paused.call.unpause(), paused.roles.admin)
    paused.run(paused.expire(paused.roles.expirer, 1, [(ANNA.address, 40)]))
    paused.run(paused.call.pause(), paused.roles.pauser)
    assert (paused.supply(), paused.call.expirySequence().call(), paused.call.paused().call()) == (60, 1, True)
