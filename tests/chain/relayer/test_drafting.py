"""Drafts without a chain: who signs what, which numbers go in, and what cannot be drafted."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from eth_keys.datatypes import Signature
from hypothesis import given
from hypothesis import strategies as st

from chain.relayer.kit import Keys
from mereau.chain import merkle
from mereau.chain.contract import OrderDomain, Redemption, decode_call, unpack_list, unpack_redemptions
from mereau.chain.drafting import Draft, Drafter, Line
from mereau.chain.hashing import ZERO_HASH
from mereau.chain.orders import OrderKind
from mereau.chain.sealing import Group, QueuedOrder
from mereau.chain.signing import SignerRefusedError
from mereau.core.clock import ManualClock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
DOMAIN = OrderDomain(20_826, b"\x0c" * 20)
RELAYER = b"\x0d" * 20
KEYS = Keys()
PARTNER, EXPIRER, *MEMBERS = (KEYS.add(f"drafting {name}") for name in ("partner", "expirer", "anna", "boris", "carla"))
DRAFTER = Drafter(DOMAIN, KEYS, ManualClock(NOW), RELAYER)


def group_of(kind: OrderKind, *tokens: int, partner: int | None = 3, **changes: Any) -> Group:
    orders = tuple(
        QueuedOrder(f"ent_{seq}", seq, kind, partner, MEMBERS[seq], amount, bytes([seq + 1]) * 32, **changes)
        for seq, amount in enumerate(tokens)
    )
    return Group(kind, None if kind is OrderKind.REDEEM else partner, orders)


async def drafted(group: Group, line: Line | None = None, nonce: int = 0, chain_time_s: int = 0) -> Draft:
    return await DRAFTER.draft(group, line, dict.fromkeys(MEMBERS, nonce), chain_time_s)


def call_of(data: bytes) -> tuple[str, dict[str, Any]]:
    call = decode_call(data)
    assert call is not None
    return call


def signer_of(digest: bytes, signature: bytes) -> bytes:
    raw = signature[:64] + bytes([signature[64] - 27])
    return Signature(raw).recover_public_key_from_msg_hash(digest).to_canonical_address()


def redemptions_in(draft: Draft) -> list[tuple[Redemption, bytes]]:
    name, args = call_of(draft.call_data)
    assert name == "redeem"
    return unpack_redemptions(args["orders"])


@pytest.mark.parametrize("kind", [OrderKind.ISSUE, OrderKind.REVERSE])
async def test_a_partners_list_is_signed_by_the_partner(kind: OrderKind) -> None:
    draft = await drafted(group_of(kind, 5, 7), Line(PARTNER, 4))
    name, args = call_of(draft.call_data)
    packed = args["credits" if kind is OrderKind.ISSUE else "debits"]
    digest = DOMAIN.issue_digest if kind is OrderKind.ISSUE else DOMAIN.reverse_digest
    assert (name, args["partner"], args["sequence"], args["trailRoot"]) == (kind.value, 3, 4, draft.trail_root)
    assert unpack_list(packed) == [(MEMBERS[0], 5), (MEMBERS[1], 7)]
    assert signer_of(digest(3, 4, draft.trail_root or b"", packed), args["signature"]) == PARTNER
    assert (draft.sender, draft.target, draft.sequence, draft.signed) == (RELAYER, DOMAIN.contract, 4, ())


async def test_an_expiry_names_and_is_signed_by_the_expirer() -> None:
    draft = await drafted(group_of(OrderKind.EXPIRE, 5, partner=None), Line(EXPIRER, 9))
    name, args = call_of(draft.call_data)
    assert (name, args["signer"], args["sequence"]) == ("expire", "0x" + EXPIRER.hex(), 9)
    digest = DOMAIN.expire_digest(9, draft.trail_root or b"", args["debits"])
    assert signer_of(digest, args["signature"]) == EXPIRER


async def test_the_root_is_that_of_the_orders_in_their_order() -> None:
    group = group_of(OrderKind.ISSUE, 5, 7)
    leaves = [
        merkle.Leaf(merkle.operation_id(one.id), one.commitment, one.wallet, one.tokens, index)
        for index, one in enumerate(group.orders)
    ]
    assert (await drafted(group, Line(PARTNER, 1))).trail_root == merkle.root(leaves)
    turned = replace(group, orders=group.orders[::-1])
    assert (await drafted(turned, Line(PARTNER, 1))).trail_root != merkle.root(leaves)


@pytest.mark.parametrize("kind", [OrderKind.ISSUE, OrderKind.REVERSE, OrderKind.EXPIRE])
async def test_a_void_uses_the_sequence_and_nothing_else(kind: OrderKind) -> None:
    """A suspended partner's issue would be refused, its empty reversal is not."""
    expiry = kind is OrderKind.EXPIRE
    line = Line(EXPIRER if expiry else PARTNER, 6)
    name, args = call_of(await DRAFTER.void(kind, None if expiry else 3, line))
    assert name == ("expire" if expiry else "reverse")
    assert (args["sequence"], args["trailRoot"], args["debits"]) == (6, ZERO_HASH, b"")
    digest = DOMAIN.expire_digest(6, ZERO_HASH, b"") if expiry else DOMAIN.reverse_digest(3, 6, ZERO_HASH, b"")
    assert signer_of(digest, args["signature"]) == line.signer


@pytest.mark.parametrize("kind", [OrderKind.ISSUE, OrderKind.REVERSE, OrderKind.EXPIRE])
async def test_a_list_without_a_line_cannot_be_drafted(kind: OrderKind) -> None:
    with pytest.raises(ValueError, match="needs a line"):
        await drafted(group_of(kind, 5))


@pytest.mark.parametrize("kind", [OrderKind.ISSUE, OrderKind.REVERSE])
async def test_a_partners_list_needs_its_number(kind: OrderKind) -> None:
    with pytest.raises(ValueError, match="needs a partner"):
        await drafted(group_of(kind, 5, partner=None), Line(PARTNER, 1))


async def test_a_key_that_is_not_here_refuses() -> None:
    with pytest.raises(SignerRefusedError):
        await drafted(group_of(OrderKind.ISSUE, 5), Line(b"\x0e" * 20, 1))


async def test_an_admin_order_goes_out_as_it_came_from_its_role() -> None:
    draft = await drafted(group_of(OrderKind.ADMIN, 0, call_data=b"call", sender=EXPIRER))
    assert (draft.sender, draft.call_data, draft.sequence, draft.trail_root) == (EXPIRER, b"call", None, None)


async def test_two_admin_orders_never_share_a_draft() -> None:
    with pytest.raises(ValueError, match="too many values"):
        await drafted(group_of(OrderKind.ADMIN, 0, 0, call_data=b"call", sender=EXPIRER))


@given(nonce=st.integers(0, 2**40 - 1), tokens=st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=3))
async def test_redemptions_are_signed_by_their_holders(nonce: int, tokens: list[int]) -> None:
    draft = await drafted(group_of(OrderKind.REDEEM, *tokens), nonce=nonce)
    records = redemptions_in(draft)
    assert [(one.member, one.amount, one.nonce, one.partner) for one, _ in records] == [
        (member, amount, nonce, 3) for member, amount in zip(MEMBERS, tokens, strict=False)
    ]
    assert [signer_of(DOMAIN.redeem_digest(one), signature) for one, signature in records] == MEMBERS[: len(tokens)]
    assert draft.signed == ((nonce, NOW_S + 3_600),) * len(tokens)
    assert [one.reference for one, _ in records] == [one.commitment for one in draft.group.orders]


@pytest.mark.parametrize(
    ("ahead_s", "deadline"), [(-86_400, NOW_S + 3_600), (0, NOW_S + 3_600), (9_000, NOW_S + 12_600)]
)
async def test_a_signature_outlives_the_later_of_clock_and_chain(ahead_s: int, deadline: int) -> None:
    draft = await drafted(group_of(OrderKind.REDEEM, 5), chain_time_s=NOW_S + ahead_s)
    assert [one.deadline for one, _ in redemptions_in(draft)] == [deadline]


async def test_a_holders_own_signature_nonce_and_deadline_stay() -> None:
    group = group_of(OrderKind.REDEEM, 5, 7)
    own = replace(group.orders[0], signature=b"contract wallet", nonce=8, deadline=99)
    before = KEYS.signatures
    draft = await drafted(replace(group, orders=(own, group.orders[1])), nonce=2)
    (first, signature), (second, _) = redemptions_in(draft)
    assert (first.nonce, first.deadline, signature) == (8, 99, b"contract wallet")
    assert (second.nonce, second.deadline) == (2, NOW_S + 3_600)
    assert KEYS.signatures == before + 1
    assert draft.signed == ((8, 99), (2, NOW_S + 3_600))


async def test_nothing_is_signed_where_every_holder_has_signed() -> None:
    own = group_of(OrderKind.REDEEM, 5, signature=b"s" * 65, nonce=1, deadline=2)
    before = KEYS.signatures
    await drafted(own)
    assert KEYS.signatures == before


async def test_a_released_order_is_signed_with_its_new_nonce() -> None:
    """What a dead signature left behind is cleared when the order returns to the queue; what stays is used."""
    kept = group_of(OrderKind.REDEEM, 5, nonce=4, deadline=NOW_S + 10)
    ((order, signature),) = redemptions_in(await drafted(kept, nonce=6))
    assert (order.nonce, order.deadline) == (4, NOW_S + 10)
    assert signer_of(DOMAIN.redeem_digest(order), signature) == MEMBERS[0]
