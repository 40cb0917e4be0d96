"""Who may do what: separate roles, and a default admin that changes hands in two steps with a delay."""

from typing import Any

import pytest
from eth_tester.exceptions import TransactionFailed

from contracts.harness import ADMIN_DELAY_S, ANNA, EPOCH_S, ZERO, Chain, Token, artifact, key

HASH = b"\x11" * 32
DEFAULT_ADMIN_ROLE = b"\x00" * 32


def role(token: Token, name: str) -> bytes:
    return bytes(getattr(token.call, name)().call())


RESTRICTED: dict[str, tuple[tuple[Any, ...], str]] = {
    "setPartner": ((3, ANNA.address, 1, 1, True), "PARTNER_ADMIN_ROLE"),
    "publishTerms": ((HASH, "https://example.test/terms", 2**40), "DEFAULT_ADMIN_ROLE"),
    "setContractURI": (("https://example.test/new",), "DEFAULT_ADMIN_ROLE"),
    "pause": ((), "PAUSER_ROLE"),
    "beginDefaultAdminTransfer": ((ANNA.address,), "DEFAULT_ADMIN_ROLE"),
    "grantRole": ((HASH, ANNA.address), "DEFAULT_ADMIN_ROLE"),
}
HOLDERS = {"PARTNER_ADMIN_ROLE": "partner_admin", "DEFAULT_ADMIN_ROLE": "admin", "PAUSER_ROLE": "pauser"}


@pytest.mark.parametrize("function", RESTRICTED)
def test_only_the_role_may(token: Token, function: str) -> None:
    arguments, role_name = RESTRICTED[function]
    call = token.call[function](*arguments)
    for holder_role, holder in HOLDERS.items():
        account = getattr(token.roles, holder)
        if holder_role == role_name:
            call.call({"from": account})
        else:
            assert token.refusal(call, account) == (
                "AccessControlUnauthorizedAccount",
                {"account": account, "neededRole": role(token, role_name)},
            )


@pytest.mark.parametrize("holder", ["partner_admin", "pauser", "relayer", "stranger"])
def test_only_the_default_admin_may_unpause(token: Token, holder: str) -> None:
    token.run(token.call.pause(), token.roles.pauser)
    account = getattr(token.roles, holder)
    assert token.refusal(token.call.unpause(), account) == (
        "AccessControlUnauthorizedAccount",
        {"account": account, "neededRole": DEFAULT_ADMIN_ROLE},
    )
    token.run(token.call.unpause(), token.roles.admin)
    assert token.call.paused().call() is False


def test_the_constructor_hands_out_one_role_each(token: Token) -> None:
    accounts = {
        "DEFAULT_ADMIN_ROLE": token.roles.admin,
        "PARTNER_ADMIN_ROLE": token.roles.partner_admin,
        "PAUSER_ROLE": token.roles.pauser,
        "EXPIRER_ROLE": token.roles.expirer.address,
    }
    held = {
        (name, account)
        for name in accounts
        for account in (*accounts.values(), token.roles.relayer, ZERO)
        if token.call.hasRole(role(token, name), account).call()
    }
    assert held == set(accounts.items())
    assert token.call.owner().call() == token.call.defaultAdmin().call() == token.roles.admin


def test_roles_given_to_nobody_stay_with_nobody() -> None:
    token = Token(Chain(), partnerAdmin=ZERO, expirer=ZERO, pauser=ZERO)
    for name in ("PARTNER_ADMIN_ROLE", "PAUSER_ROLE", "EXPIRER_ROLE"):
        assert token.call.hasRole(role(token, name), ZERO).call() is False


@pytest.mark.parametrize(
    "faulty",
    [{"admin": ZERO}, {"epochLength": 599}, {"capPeriod": 599}, {"capPeriod": 0}],
    ids=lambda faulty: "-".join(map(str, faulty.items())),
)
def test_the_constructor_refuses_what_would_not_last(faulty: dict[str, Any]) -> None:
    chain = Chain()
    with pytest.raises(AssertionError, match="reverted"):
        Token(chain, **faulty)


def test_the_constructor_says_what_is_too_short(token: Token) -> None:
    build = token.chain.w3.eth.contract(abi=token.contract.abi, bytecode=artifact("LoyaltyToken")["bytecode"])
    for field in ("epochLength", "capPeriod"):
        config = tuple((token.config | {field: 599}).values())
        with pytest.raises(TransactionFailed) as failure:
            build.constructor(config).estimate_gas({"from": token.roles.admin})
        assert token.failure(failure.value) == ("LoyaltyPeriod", {"least": 600, "given": 599})


class TestDefaultAdmin:
    def begin(self, token: Token, successor: str) -> int:
        token.run(token.call.beginDefaultAdminTransfer(successor), token.roles.admin)
        pending, schedule = token.call.pendingDefaultAdmin().call()
        assert pending == successor
        assert schedule == token.chain.now() + ADMIN_DELAY_S
        return int(schedule)

    def test_changes_hands_in_two_steps_after_the_delay(self, token: Token) -> None:
        schedule = self.begin(token, token.roles.stranger)
        accept = token.call.acceptDefaultAdminTransfer()
        token.chain.travel(schedule)
        assert token.refusal(accept, token.roles.stranger) == (
            "AccessControlEnforcedDefaultAdminDelay",
            {"schedule": schedule},
        )
        token.chain.travel(schedule + 1)
        token.run(accept, token.roles.stranger)
        assert token.call.defaultAdmin().call() == token.roles.stranger
        assert token.refusal(token.call.setContractURI(""), token.roles.admin)[0] == (
            "AccessControlUnauthorizedAccount"
        )

    def test_nobody_else_may_accept(self, token: Token) -> None:
        schedule = self.begin(token, token.roles.stranger)
        token.chain.travel(schedule + 1)
        assert token.refusal(token.call.acceptDefaultAdminTransfer(), token.roles.relayer) == (
            "AccessControlInvalidDefaultAdmin",
            {"defaultAdmin": token.roles.relayer},
        )

    def test_a_transfer_can_be_called_off(self, token: Token) -> None:
        schedule = self.begin(token, token.roles.stranger)
        token.run(token.call.cancelDefaultAdminTransfer(), token.roles.admin)
        token.chain.travel(schedule + 1)
        assert token.refusal(token.call.acceptDefaultAdminTransfer(), token.roles.stranger)[0] == (
            "AccessControlInvalidDefaultAdmin"
        )

    def test_the_role_cannot_be_granted_or_revoked(self, token: Token) -> None:
        for call in (
            token.call.grantRole(DEFAULT_ADMIN_ROLE, ANNA.address),
            token.call.revokeRole(DEFAULT_ADMIN_ROLE, token.roles.admin),
        ):
            assert token.refusal(call, token.roles.admin) == ("AccessControlEnforcedDefaultAdminRules", {})

    def test_a_role_can_be_given_up(self, token: Token) -> None:
        pauser = role(token, "PAUSER_ROLE")
        assert token.run(token.call.renounceRole(pauser, token.roles.pauser), token.roles.pauser) == [
            (
                "RoleRevoked",
                {"role": pauser, "account": token.roles.pauser, "sender": token.roles.pauser},
            )
        ]
        assert token.refusal(token.call.pause(), token.roles.pauser)[0] == "AccessControlUnauthorizedAccount"


def test_granting_is_visible(token: Token) -> None:
    pauser = role(token, "PAUSER_ROLE")
    newcomer = key("second pauser").address
    assert token.run(token.call.grantRole(pauser, newcomer), token.roles.admin) == [
        ("RoleGranted", {"role": pauser, "account": newcomer, "sender": token.roles.admin})
    ]


def test_the_constructor_reports_what_it_fixed(token: Token) -> None:
    names = ("name", "symbol", "contractURI", "decimals", "noticePeriod", "epochLength", "capPeriod", "transfersOpen")
    assert {name: token.call[name]().call() for name in names} == {name: token.config[name] for name in names}
    assert token.config["epochLength"] == EPOCH_S
    assert token.call.defaultAdminDelay().call() == ADMIN_DELAY_S
