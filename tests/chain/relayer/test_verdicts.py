"""Whom a revert blames, from its name and arguments alone."""

from typing import Any

import pytest

from mereau.chain.contract import Revert
from mereau.chain.orders import OrderKind
from mereau.chain.sealing import Group, QueuedOrder
from mereau.chain.verdicts import Blame, curable, judge

WALLETS = [number.to_bytes(20, "big") for number in range(5)]


def group_of(kind: OrderKind, *wallets: int, tokens: int = 10) -> Group:
    orders = tuple(
        QueuedOrder(f"ent_{seq}", seq, kind, seq % 2 + 1, WALLETS[wallet], tokens, bytes(32))
        for seq, wallet in enumerate(wallets)
    )
    return Group(kind, 1, orders)


def hexed(wallet: int) -> str:
    return "0x" + WALLETS[wallet].hex()


def blamed(group: Group, name: str, **args: Any) -> tuple[Blame, list[str]]:
    verdict = judge(group, Revert(name, args))
    return verdict.blame, [order.id for order in verdict.culprits]


@pytest.mark.parametrize("kind", [OrderKind.ISSUE, OrderKind.REVERSE, OrderKind.EXPIRE, OrderKind.REDEEM])
@pytest.mark.parametrize("name", ["EnforcedPause", "LoyaltySequence", "LoyaltyPartnerUnknown"])
def test_some_reverts_blame_nobody(kind: OrderKind, name: str) -> None:
    assert blamed(group_of(kind, 1), name) == (Blame.NOBODY, [])


@pytest.mark.parametrize("kind", [OrderKind.ISSUE, OrderKind.REVERSE, OrderKind.EXPIRE])
def test_a_rotated_key_blames_no_order(kind: OrderKind) -> None:
    assert blamed(group_of(kind, 1), "LoyaltySignature", signer=hexed(1))[0] is Blame.NOBODY


def test_a_bad_signature_blames_its_redemption() -> None:
    group = group_of(OrderKind.REDEEM, 1, 2, 3)
    assert blamed(group, "LoyaltySignature", signer=hexed(2)) == (Blame.ORDERS, ["ent_1"])


def test_a_missing_role_blames_an_admin_order_and_no_expiry() -> None:
    name = "AccessControlUnauthorizedAccount"
    assert blamed(group_of(OrderKind.ADMIN, 1), name)[0] is Blame.ORDERS
    assert blamed(group_of(OrderKind.EXPIRE, 1), name)[0] is Blame.NOBODY


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("LoyaltyAmount", "member"),
        ("LoyaltyProtected", "member"),
        ("LoyaltyNonce", "member"),
        ("ERC20InsufficientBalance", "sender"),
        ("ERC20InvalidReceiver", "receiver"),
        ("ERC20InvalidSender", "sender"),
    ],
)
def test_a_named_wallet_blames_its_only_order(name: str, argument: str) -> None:
    group = group_of(OrderKind.REVERSE, 1, 2, 3)
    assert blamed(group, name, **{argument: hexed(3)}) == (Blame.ORDERS, ["ent_2"])


def test_of_several_orders_for_the_wallet_a_search_must_tell() -> None:
    group = group_of(OrderKind.REVERSE, 1, 2, 1)
    assert blamed(group, "ERC20InsufficientBalance", sender=hexed(1)) == (Blame.UNCLEAR, [])


def test_a_wallet_that_is_not_there_is_unclear() -> None:
    group = group_of(OrderKind.REVERSE, 1, 2)
    assert blamed(group, "ERC20InsufficientBalance", sender=hexed(4))[0] is Blame.UNCLEAR


@pytest.mark.parametrize("name", ["LoyaltyAllowance", "LoyaltyPeriodCap", "LoyaltyReversal", "LoyaltySupply"])
@pytest.mark.parametrize(("left", "culprits"), [(0, [0, 1, 2]), (9, [0, 1, 2]), (10, [1, 2]), (29, [2])])
def test_totals_serve_the_queue_as_far_as_it_goes(name: str, left: int, culprits: list[int]) -> None:
    group = group_of(OrderKind.ISSUE, 1, 2, 3)
    assert blamed(group, name, left=left) == (Blame.ORDERS, [f"ent_{one}" for one in culprits])


def test_an_inactive_partner_blames_the_orders_that_name_it() -> None:
    group = group_of(OrderKind.REDEEM, 1, 2, 3)
    assert blamed(group, "LoyaltyPartnerInactive", partner=2) == (Blame.ORDERS, ["ent_1"])
    assert blamed(group, "LoyaltyPartnerInactive", partner=9)[0] is Blame.UNCLEAR


@pytest.mark.parametrize("name", ["Unknown", "Panic", "GasExceeded"])
def test_an_order_alone_is_to_blame_whatever_the_error(name: str) -> None:
    assert blamed(group_of(OrderKind.ISSUE, 1), name) == (Blame.ORDERS, ["ent_0"])
    assert blamed(group_of(OrderKind.ISSUE, 1, 2), name) == (Blame.UNCLEAR, [])


def test_what_work_in_flight_may_cure() -> None:
    assert curable(Revert("ERC20InsufficientBalance", {}))
    assert not curable(Revert("LoyaltyAmount", {}))
