"""Whom a revert blames, from its name and arguments alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.chain.artifact import artifact
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


WAITING = {"EnforcedPause", "LoyaltySequence", "LoyaltyPartnerUnknown"}
TOTALS = {"LoyaltyAllowance", "LoyaltyPeriodCap", "LoyaltyReversal", "LoyaltySupply"}
CURABLE = {
    "ERC20InsufficientBalance", "LoyaltyAllowance", "LoyaltyNonce", "LoyaltyPartnerInactive", "LoyaltyReversal",
    "AccessControlUnauthorizedAccount",
}  # fmt: skip
OWN_ERRORS = sorted(entry["name"] for entry in artifact()["abi"] if entry["type"] == "error")


def revert_about(name: str, wallet: int, left: int) -> Revert:
    """The contract's error with every argument that it declares."""
    (entry,) = [one for one in artifact()["abi"] if one["type"] == "error" and one["name"] == name]
    args: dict[str, Any] = {}
    for parameter in entry["inputs"]:
        label = parameter["name"].rstrip("_")
        args[label] = hexed(wallet) if parameter["type"] == "address" else bytes(32)
        if parameter["type"].startswith("uint"):
            args[label] = {"left": left, "partner": 1}.get(label, 0)
    return Revert(name, args)


@pytest.mark.parametrize("kind", list(OrderKind))
@pytest.mark.parametrize("name", OWN_ERRORS)
def test_every_error_of_the_contract_alone_and_in_company(name: str, kind: OrderKind) -> None:
    """The whole table: what waits, what blames the order alone, and that company never blames an unnamed wallet."""
    revert = revert_about(name, wallet=1, left=10)
    nobody = (
        name in WAITING
        or (name == "LoyaltySignature" and kind is not OrderKind.REDEEM)
        or (name == "AccessControlUnauthorizedAccount" and kind is not OrderKind.ADMIN)
    )
    alone, pair = group_of(kind, 1), group_of(kind, 1, 2)
    expected = (Blame.NOBODY, ()) if nobody else (Blame.ORDERS, alone.orders)
    assert (judge(alone, revert).blame, judge(alone, revert).culprits) == expected
    verdict = judge(pair, revert)
    assert (verdict.blame is Blame.NOBODY) == nobody
    assert bool(verdict.culprits) == (verdict.blame is Blame.ORDERS)
    assert set(verdict.culprits) <= set(pair.orders)
    if name in TOTALS:
        assert verdict.culprits == pair.orders[1:]
    elif verdict.blame is Blame.ORDERS:
        assert verdict.culprits == pair.orders[:1]


@pytest.mark.parametrize("name", OWN_ERRORS)
def test_what_is_curable_is_listed(name: str) -> None:
    assert curable(Revert(name, {})) == (name in CURABLE)


def test_the_tables_name_errors_that_exist() -> None:
    """A renamed error of the contract must not silently become a poison."""
    assert set(OWN_ERRORS) >= WAITING | TOTALS | CURABLE


@given(tokens=st.lists(st.integers(1, 50), min_size=2, max_size=12), left=st.integers(0, 300))
def test_totals_are_never_exceeded_and_nobody_who_fits_is_blamed(tokens: list[int], left: int) -> None:
    orders = tuple(
        QueuedOrder(f"ent_{seq}", seq, OrderKind.ISSUE, 1, WALLETS[0], one, bytes(32)) for seq, one in enumerate(tokens)
    )
    culprits = judge(Group(OrderKind.ISSUE, 1, orders), Revert("LoyaltyAllowance", {"left": left})).culprits
    served = 0
    for order in orders:
        fits = served + order.tokens <= left
        assert (order in culprits) != fits
        served += order.tokens if fits else 0
    assert served <= left
