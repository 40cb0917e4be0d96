"""The partner registry: one idempotent door, counters that survive every change."""

import pytest

from contracts.harness import ANNA, CAP_PERIOD_S, PARTNER, PARTNER_ID, U56_MAX, ZERO, Token, key

NEW_ID = 7


def test_registers_and_reports(token: Token) -> None:
    signer = key("new partner").address
    assert token.register(NEW_ID, signer, allowance=500, period_cap=50) == [
        ("PartnerSet", {"partner": NEW_ID, "signer": signer, "allowance": 500, "periodCap": 50, "active": True})
    ]
    period = token.chain.now() // CAP_PERIOD_S
    assert token.call.partnerOf(NEW_ID).call() == [signer, 0, True, 500, 50, 0, 0, period]


def test_an_unknown_partner_is_all_zero(token: Token) -> None:
    period = token.chain.now() // CAP_PERIOD_S
    assert token.call.partnerOf(NEW_ID).call() == [ZERO, 0, False, 0, 0, 0, 0, period]
    assert token.call.partnerSequence(NEW_ID).call() == 0


def test_repeating_a_call_changes_nothing(token: Token) -> None:
    token.register(NEW_ID, PARTNER.address, allowance=500, period_cap=50)
    before = token.call.partnerOf(NEW_ID).call()
    token.register(NEW_ID, PARTNER.address, allowance=500, period_cap=50)
    assert token.call.partnerOf(NEW_ID).call() == before


def test_counters_survive_a_change_of_terms(token: Token) -> None:
    token.fund((ANNA.address, 30))
    token.run(token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, 10)]))
    successor = key("second partner key").address
    token.register(PARTNER_ID, successor, allowance=25, period_cap=60, active=False)
    period = token.chain.now() // CAP_PERIOD_S
    assert token.call.partnerOf(PARTNER_ID).call() == [successor, 2, False, 25, 60, 20, 30, period]


@pytest.mark.parametrize(("partner", "signer"), [(0, PARTNER.address), (NEW_ID, ZERO), (0, ZERO)])
def test_refuses_no_id_and_no_signer(token: Token, partner: int, signer: str) -> None:
    call = token.call.setPartner(partner, signer, 1, 1, True)
    assert token.refusal(call, token.roles.partner_admin) == (
        "LoyaltyPartnerInvalid",
        {"partner": partner, "signer": signer},
    )


@pytest.mark.parametrize("limits", [(U56_MAX + 1, 1), (1, U56_MAX + 1), (2**64 - 1, 1)])
def test_refuses_limits_beyond_56_bits(token: Token, limits: tuple[int, int]) -> None:
    call = token.call.setPartner(NEW_ID, PARTNER.address, *limits, True)
    assert token.refusal(call, token.roles.partner_admin) == (
        "SafeCastOverflowedUintDowncast",
        {"bits": 56, "value": max(limits)},
    )


def test_the_largest_id_is_a_partner(token: Token) -> None:
    token.register(2**32 - 1, PARTNER.address)
    token.run(token.issue(PARTNER, 2**32 - 1, 1, [(ANNA.address, 3)]))
    assert token.balance(ANNA.address) == 3
