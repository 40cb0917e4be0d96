"""Each kind of reward: which terms it may have, what it asks, what it costs and what it promises."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mereau.rewards.kinds.domain import KINDS, Asked, Cashback, Terms, read_terms

DISCOUNT = {"kind": "discount", "form": "percent", "percent": 20}
VALUE = {"kind": "discount", "form": "value", "amount_minor": 500, "currency": "EUR"}
GIFT = {"kind": "gift", "goods": ["mug", "cap"]}
EVENT = {"kind": "experience", "starts_at": "2026-06-01T18:00:00Z", "place": "Workshop"}
CASHBACK = {"kind": "cashback", "tokens": 100, "per_minor": 1_000, "currency": "EUR", "min_tokens": 50}
DONATION = {"kind": "donation", "charity": "Forests", "amount_minor": 200, "currency": "EUR"}
CONTENT = {"kind": "digital", "content": "ab" * 32}
LENDER = {"kind": "instalment", "hand_over_url": "https://lender.example/start"}
ALL = [
    {"kind": "service", "minutes": 120}, {"kind": "sample"}, DISCOUNT, VALUE, GIFT, EVENT, CASHBACK, DONATION, CONTENT,
    {"kind": "priority_service"}, {"kind": "extended_return", "extra_days": 30},
    {"kind": "warranty", "extra_months": 12}, {"kind": "draw_entry", "draw": "christmas", "entries": 2}, LENDER,
]  # fmt: skip


def terms(raw: dict[str, Any], **changes: Any) -> Terms:
    return read_terms(raw | changes)


def asked(**said: Any) -> Asked:
    return Asked.model_validate(said)


def pointers(raw: dict[str, Any], price_tokens: int = 10) -> list[str]:
    return [found.pointer for found in terms(raw).findings(price_tokens)]


def unfit(raw: dict[str, Any], quantity: int = 1, **said: Any) -> list[tuple[str, str]]:
    return [(found.pointer, found.code) for found in terms(raw).unfit(asked(**said), quantity)]


def test_every_kind_is_known_and_tried_here() -> None:
    assert {raw["kind"] for raw in ALL} == set(KINDS)


@pytest.mark.parametrize("raw", ALL, ids=str)
def test_terms_survive_the_table(raw: dict[str, Any]) -> None:
    stored = terms(raw).model_dump(mode="json")
    assert read_terms(stored) == terms(raw)
    assert stored.items() >= raw.items()


@pytest.mark.parametrize(
    "raw",
    [
        {}, {"kind": "yacht"}, {"kind": "sample", "colour": "red"}, {"kind": "discount"},
        DISCOUNT | {"percent": 101}, DISCOUNT | {"percent": "20"}, DISCOUNT | {"percent": 20.0},
        GIFT | {"goods": ["a", "b", "c", "d"]}, EVENT | {"starts_at": "2026-06-01"}, CONTENT | {"content": "AB" * 32},
        LENDER | {"hand_over_url": "javascript:alert(1)"}, LENDER | {"hand_over_url": "http://lender.example/start"},
        CASHBACK | {"tokens": 0}, {"kind": "warranty", "extra_months": 0}, {"kind": "service", "minutes": True},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_terms_may_be_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_terms(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (DISCOUNT, []),
        (VALUE, []),
        ({"kind": "discount", "form": "free_delivery"}, []),
        ({"kind": "discount", "form": "percent"}, ["/terms/percent"]),
        (DISCOUNT | {"amount_minor": 5}, ["/terms/amount_minor"]),
        (VALUE | {"currency": None}, ["/terms/currency"]),
        (VALUE | {"amount_minor": 0}, ["/terms/amount_minor"]),
        (GIFT | {"goods": ["mug", "mug"]}, ["/terms/goods"]),
        (LENDER, ["/price_tokens"]),
    ],
    ids=str,
)
def test_terms_are_judged_field_by_field(raw: dict[str, Any], expected: list[str]) -> None:
    assert pointers(raw) == expected


@pytest.mark.parametrize("raw", [raw for raw in ALL if raw is not CASHBACK], ids=str)
def test_a_price_of_nothing_is_for_what_is_not_bought(raw: dict[str, Any]) -> None:
    assert pointers(raw, 0) == ([] if raw is LENDER else ["/price_tokens"])


@pytest.mark.parametrize(
    ("changes", "price", "expected"),
    [
        ({}, 50, []),
        ({}, 51, ["/price_tokens"]),
        ({"max_tokens": 49}, 50, ["/terms/max_tokens"]),
        ({"step_tokens": 20}, 50, ["/terms/min_tokens"]),
        ({"min_tokens": 1, "per_minor": 99}, 1, ["/terms/min_tokens"]),
    ],
)
def test_cashback_has_bounds_that_fit(changes: dict[str, int], price: int, expected: list[str]) -> None:
    assert pointers(CASHBACK | changes, price) == expected


@pytest.mark.parametrize(
    ("raw", "quantity", "said", "expected"),
    [
        ({"kind": "sample"}, 3, {}, []),
        ({"kind": "sample"}, 1, {"tokens": 5}, [("/tokens", "not_asked")]),
        (DISCOUNT, 1, {"options": {"size": "M"}}, [("/options", "not_asked")]),
        (GIFT, 1, {}, [("/goods", "option_required")]),
        (GIFT, 1, {"goods": "cap", "options": {"size": "M"}}, []),
        (GIFT, 1, {"goods": "yacht"}, [("/goods", "unknown")]),
        (GIFT | {"goods": ["mug"]}, 1, {}, []),
        (GIFT | {"goods": []}, 1, {}, []),
        (EVENT, 2, {"names": ["Camille", "Lou"]}, []),
        (EVENT, 2, {"names": ["Camille"]}, [("/names", "option_required")]),
        (EVENT, 1, {}, [("/names", "option_required")]),
        (CASHBACK, 1, {"order_reference": "o-1", "tokens": 50}, []),
        (CASHBACK, 1, {"tokens": 50}, [("/order_reference", "option_required")]),
        (CASHBACK, 1, {"order_reference": "o-1"}, [("/tokens", "option_required")]),
        (CASHBACK, 1, {"order_reference": "o-1", "tokens": 49}, [("/tokens", "out_of_range")]),
        (CASHBACK, 2, {"order_reference": "o-1", "tokens": 50}, [("/quantity", "out_of_range")]),
        (CASHBACK | {"step_tokens": 25}, 1, {"order_reference": "o", "tokens": 60}, [("/tokens", "out_of_range")]),
        (CASHBACK | {"max_tokens": 60}, 1, {"order_reference": "o", "tokens": 61}, [("/tokens", "out_of_range")]),
    ],
)
def test_a_wish_says_what_is_asked_and_nothing_else(
    raw: dict[str, Any], quantity: int, said: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert unfit(raw, quantity, **said) == expected


@pytest.mark.parametrize(
    ("raw", "quantity", "said", "promise"),
    [
        ({"kind": "service"}, 2, {}, {}),
        ({"kind": "service", "minutes": 60}, 2, {}, {"minutes": 120}),
        (DISCOUNT, 1, {}, {"form": "percent", "percent": 20}),
        (VALUE, 1, {}, {"form": "value", "amount_minor": 500, "currency": "EUR"}),
        (GIFT, 1, {"goods": "cap", "options": {"size": "M"}}, {"goods": "cap", "options": {"size": "M"}}),
        (GIFT | {"goods": ["mug"]}, 1, {}, {"goods": "mug", "options": {}}),
        (GIFT | {"goods": []}, 1, {}, {}),
        (EVENT, 1, {"names": ["Lou"]}, {"starts_at": "2026-06-01T18:00:00+00:00", "place": "Workshop", "tickets": 1}),
        (CONTENT, 1, {}, {"content": "ab" * 32, "link_life_s": 900, "downloads_max": 3}),
        (DONATION, 3, {}, {"charity": "Forests", "amount_minor": 600, "currency": "EUR"}),
        ({"kind": "extended_return", "extra_days": 30}, 1, {}, {"extra_days": 30}),
        ({"kind": "warranty", "extra_months": 12}, 1, {}, {"extra_months": 12}),
        ({"kind": "priority_service"}, 1, {}, {}),
        ({"kind": "draw_entry", "draw": "xmas", "entries": 2}, 3, {}, {"draw": "xmas", "entries": 6}),
    ],
)
def test_the_promise_says_what_will_be_given(
    raw: dict[str, Any], quantity: int, said: dict[str, Any], promise: dict[str, object]
) -> None:
    assert terms(raw).promise(asked(**said), quantity) == promise


def test_names_are_personal_and_no_part_of_the_promise() -> None:
    promise = terms(EVENT).promise(asked(names=["Camille Roy"]), 1)
    assert "Camille" not in str(promise)


@pytest.mark.parametrize("raw", [raw for raw in ALL if raw is not CASHBACK], ids=str)
def test_pieces_cost_their_price_each(raw: dict[str, Any]) -> None:
    assert terms(raw).cost_tokens(30, asked(), 4) == 120


@given(
    tokens=st.integers(1, 10**9),
    rate=st.integers(1, 10**6),
    per_minor=st.integers(1, 10**6),
    more=st.integers(0, 10**6),
)
def test_cashback_is_exact_and_never_pays_more(tokens: int, rate: int, per_minor: int, more: int) -> None:
    """The floor: between the exact value and one minor unit less, and more tokens are never worth less."""
    terms = Cashback(tokens=rate, per_minor=per_minor, currency="EUR")
    amount = terms.amount_minor(tokens)
    assert amount * rate <= tokens * per_minor < (amount + 1) * rate
    assert terms.amount_minor(tokens + more) >= amount


def test_a_hundred_tokens_are_ten_euros() -> None:
    said = asked(order_reference="order-7", tokens=255)
    cashback = terms(CASHBACK)
    assert cashback.cost_tokens(50, said, 1) == 255
    assert cashback.promise(said, 1) == {"order_reference": "order-7", "amount_minor": 2_550, "currency": "EUR"}


def test_what_ends_at_its_grant_and_what_entitles() -> None:
    assert {name for name, kind in KINDS.items() if kind.is_done_at_grant} == {"donation", "draw_entry"}
    assert {name for name, kind in KINDS.items() if kind.is_entitlement} == {
        "priority_service", "extended_return", "warranty",
    }  # fmt: skip
    assert {name for name, kind in KINDS.items() if not kind.is_bought} == {"instalment"}
    assert terms(DISCOUNT, codes="pool").draws_codes
    assert not terms(DISCOUNT).draws_codes
    assert (terms(GIFT).goods_offered, terms(DISCOUNT).goods_offered) == (["mug", "cap"], [])
