"""Grouping as a pure function: nothing lost, nothing doubled, limits held, order kept."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mereau.chain.orders import OrderKind
from mereau.chain.sealing import Fill, Group, Limits, QueuedOrder, group, loads

KINDS = [kind for kind in OrderKind if kind is not OrderKind.ADMIN]
PLACES = {kind: place for place, kind in enumerate(("admin", "issue", "reverse", "redeem", "expire"))}


def order(
    seq: int, kind: OrderKind, partner: int | None = 1, wallet: int = 0, signature: bytes | None = None
) -> QueuedOrder:
    return QueuedOrder(
        f"ent_{seq}",
        seq,
        kind,
        None if kind is OrderKind.EXPIRE else partner,
        wallet.to_bytes(20, "big"),
        seq + 1,
        bytes(32),
        signature=signature,
    )


@st.composite
def windows(draw: st.DrawFn) -> list[QueuedOrder]:
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(list(OrderKind)),
                st.integers(1, 3),
                st.integers(0, 6),
                st.one_of(st.none(), st.binary(min_size=65, max_size=400)),
            ),
            max_size=60,
        )
    )
    orders = [order(seq, *row) for seq, row in enumerate(rows)]
    return draw(st.permutations(orders))


limits = st.builds(Limits, st.integers(1, 12), st.integers(1, 6), st.integers(1, 8), st.integers(1_200, 3_000))


@given(window=windows(), limit=limits)
def test_every_order_but_a_second_redemption_stands_in_one_group(window: list[QueuedOrder], limit: Limits) -> None:
    grouped = Counter(one.id for part in group(window, limit) for one in part.orders)
    assert all(count == 1 for count in grouped.values())
    first_redemptions: set[bytes] = set()
    expected = set()
    for one in sorted(window, key=lambda one: one.seq):
        if one.kind is OrderKind.REDEEM:
            if one.wallet in first_redemptions:
                continue
            first_redemptions.add(one.wallet)
        expected.add(one.id)
    assert set(grouped) == expected


@given(window=windows(), limit=limits)
def test_tokens_are_conserved(window: list[QueuedOrder], limit: Limits) -> None:
    without_redemptions = [one for one in window if one.kind is not OrderKind.REDEEM]
    groups = group(without_redemptions, limit)
    assert sum(part.tokens for part in groups) == sum(one.tokens for one in without_redemptions)


@given(window=windows(), limit=limits)
def test_groups_keep_their_limits(window: list[QueuedOrder], limit: Limits) -> None:
    for part in group(window, limit):
        assert 1 <= len(part.orders) <= limit.orders_of(part.kind)
        assert len(part.orders) == 1 or part.size <= limit.bytes_max


@given(window=windows(), limit=limits)
def test_a_group_is_of_one_kind_and_one_signer_in_queue_order(window: list[QueuedOrder], limit: Limits) -> None:
    for part in group(window, limit):
        assert {one.kind for one in part.orders} == {part.kind}
        if part.kind in {OrderKind.ISSUE, OrderKind.REVERSE}:
            assert {one.partner_number for one in part.orders} == {part.partner_number}
        assert list(part.orders) == sorted(part.orders, key=lambda one: one.seq)


@given(window=windows(), limit=limits)
def test_credits_come_before_debits_and_lines_keep_their_order(window: list[QueuedOrder], limit: Limits) -> None:
    groups = group(window, limit)
    places = [PLACES[part.kind] for part in groups]
    assert places == sorted(places)
    last: dict[tuple[OrderKind, int | None], int] = {}
    for part in groups:
        line = (part.kind, part.partner_number)
        assert part.orders[0].seq > last.get(line, -1) or part.kind is OrderKind.ADMIN
        last[line] = part.orders[-1].seq


@given(window=windows(), limit=limits)
def test_grouping_does_not_depend_on_the_order_of_reading(window: list[QueuedOrder], limit: Limits) -> None:
    assert group(window, limit) == group(list(reversed(window)), limit)


@given(window=windows(), limit=limits)
def test_loads_hold_every_group_once_and_in_order(window: list[QueuedOrder], limit: Limits) -> None:
    groups = group(window, limit)
    assert [part for load in loads(groups, limit) for part in load] == groups


@given(window=windows(), limit=limits)
def test_loads_keep_the_limits_of_one_transaction(window: list[QueuedOrder], limit: Limits) -> None:
    for load in loads(group(window, limit), limit):
        if len(load) > 1:
            assert {part.kind for part in load} <= {OrderKind.ISSUE, OrderKind.REVERSE, OrderKind.EXPIRE}
            assert len(load) <= limit.sections_max
            assert sum(len(part.orders) for part in load) <= limit.orders_max
            assert sum(part.size for part in load) <= limit.bytes_max


@given(window=windows(), limit=limits)
def test_no_two_neighbouring_loads_would_fit_into_one(window: list[QueuedOrder], limit: Limits) -> None:
    made = loads(group(window, limit), limit)
    for load, following in pairwise(made):
        assert len(loads([*load, following[0]], limit)) > 1


@given(steps=st.lists(st.tuples(st.integers(1, 5_000), st.integers(21_000, 40_000_000)), max_size=20))
def test_the_fill_stays_between_one_and_the_most(steps: list[tuple[int, int]]) -> None:
    fill = Fill(1_000)
    for orders, gas in steps:
        fill.passed(orders, gas, 15_000_000) if gas <= 15_000_000 else fill.failed(orders)
        assert 1 <= fill.orders <= 1_000


def test_the_fill_follows_what_storage_costs() -> None:
    fill = Fill(1_000)
    fill.failed(1_000)
    assert fill.orders == 500
    # New holders: 25,000 gas each.
    fill.passed(500, 12_500_000, 15_000_000)
    assert fill.orders == 540
    # The same holders again: 7,500 gas each, so that the limit of the policy binds.
    fill.passed(540, 4_050_000, 15_000_000)
    assert fill.orders == 1_000


def test_large_transactions_are_confirmed_at_what_was_learned_until_an_estimate_is_due() -> None:
    fill = Fill(1_000)
    assert fill.expected(500, 15_000_000) is None
    fill.passed(500, 4_000_000, 15_000_000)
    assert fill.expected(99, 15_000_000) is None
    expected = [fill.expected(400, 15_000_000) for _ in range(16)]
    assert expected == [400 * 8_400] * 15 + [None]
    fill.passed(500, 4_000_000, 15_000_000)
    assert fill.expected(1_000, 8_000_000) is None
    fill.failed(1_000)
    assert fill.expected(400, 15_000_000) is None


def test_a_small_transaction_teaches_nothing_about_full_ones() -> None:
    fill = Fill(1_000)
    fill.passed(1, 60_000, 15_000_000)
    assert fill.orders == 1_000


def test_admin_orders_stand_alone() -> None:
    groups = group([order(seq, OrderKind.ADMIN) for seq in range(3)], Limits())
    assert [len(part.orders) for part in groups] == [1, 1, 1]


def test_redemptions_of_all_partners_share_a_batch() -> None:
    window = [order(seq, OrderKind.REDEEM, seq % 3 + 1, wallet=seq) for seq in range(60)]
    groups = group(window, Limits())
    assert [len(part.orders) for part in groups] == [50, 10]
    assert {part.partner_number for part in groups} == {None}


def test_long_signatures_fill_a_batch_sooner() -> None:
    window = [order(seq, OrderKind.REDEEM, wallet=seq, signature=bytes(1_000)) for seq in range(4)]
    groups = group(window, Limits(bytes_max=3_000))
    assert [len(part.orders) for part in groups] == [2, 2]


def test_an_order_beyond_the_bytes_still_gets_its_batch() -> None:
    (part,) = group([order(1, OrderKind.REDEEM, signature=bytes(5_000))], Limits(bytes_max=100))
    assert len(part.orders) == 1


def test_a_group_without_some_of_its_orders() -> None:
    (whole,) = group([order(seq, OrderKind.ISSUE) for seq in range(4)], Limits())
    rest = whole.without(["ent_1", "ent_3", "ent_99"])
    assert [one.id for one in rest.orders] == ["ent_0", "ent_2"]
    assert [one.id for one in whole.first(1).orders] == ["ent_0"]
    assert isinstance(rest, Group)
    assert rest.tokens == 1 + 3
