"""Every reason why a member cannot have a reward, named with what is missing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mereau.rewards.availability.domain import CODES, Obstacle, Offer, Visitor, obstacles
from mereau.rewards.catalogue.domain import EVERYBODY, Audience
from mereau.rewards.kinds.domain import Instalment, Sample
from mereau.rewards.limits.domain import Count

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TOMORROW = NOW + timedelta(days=1)


def an_offer(**changes: Any) -> Offer:
    fields: dict[str, Any] = {
        "status": "active", "stock": None, "price_tokens": 50, "tier_prices": {}, "audience": EVERYBODY,
        "terms": Sample(), "active_from": None, "active_until": None,
    }  # fmt: skip
    return Offer(**fields | changes)


def judged(
    offer: Offer, *counts: Count, quantity: int = 1, cost_tokens: int | None = None, **who: Any
) -> list[Obstacle]:
    visitor = Visitor("mem_1", **{"available_tokens": 50} | who)
    return obstacles(offer, visitor, counts, NOW, quantity=quantity, cost_tokens=cost_tokens)


def codes(offer: Offer, **who: Any) -> list[str]:
    return [obstacle.code for obstacle in judged(offer, **who)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"stock": 1}, []),
        ({"stock": 0}, ["out_of_stock"]),
        ({"status": "inactive"}, ["inactive"]),
        ({"status": "draft"}, ["inactive"]),
        ({"active_from": NOW}, []),
        ({"active_from": NOW + SECOND}, ["not_yet"]),
        ({"active_until": NOW + SECOND}, []),
        ({"active_until": NOW}, ["ended"]),
        ({"price_tokens": 51}, ["insufficient_balance"]),
        ({"status": "inactive", "stock": 0, "price_tokens": 99}, ["inactive", "out_of_stock", "insufficient_balance"]),
        ({"terms": Instalment(hand_over_url="https://lender.example/"), "price_tokens": 0}, ["not_bought"]),
    ],
    ids=str,
)
def test_every_obstacle_of_an_offer_is_named(changes: dict[str, Any], expected: list[str]) -> None:
    assert codes(an_offer(**changes)) == expected


@pytest.mark.parametrize(
    ("audience", "who", "expected"),
    [
        (Audience(tier_ids=["gold"]), {"tier_id": "gold"}, []),
        (Audience(tier_ids=["gold", "silver"]), {"tier_id": "silver"}, []),
        (Audience(tier_ids=["gold"]), {"tier_id": "silver"}, ["wrong_tier"]),
        (Audience(tier_ids=["gold"]), {}, ["wrong_tier"]),
        (Audience(segment_ids=["new"]), {"segment_ids": frozenset({"new", "vip"})}, []),
        (Audience(segment_ids=["new"]), {"segment_ids": frozenset({"vip"})}, ["not_in_audience"]),
        (Audience(location_ids=["loc_1"]), {"location_id": "loc_1"}, []),
        (Audience(location_ids=["loc_1"]), {}, ["not_in_audience"]),
        (Audience(channels=["app"]), {"channel": "app"}, []),
        (Audience(channels=["app"]), {"channel": "store"}, ["not_in_audience"]),
        (Audience(["gold"], ["new"]), {}, ["wrong_tier", "not_in_audience"]),
    ],
)
def test_the_audience_names_who_is_meant(audience: Audience, who: dict[str, Any], expected: list[str]) -> None:
    assert codes(an_offer(audience=audience), **who) == expected


def test_what_is_needed_is_told() -> None:
    (obstacle,) = judged(an_offer(audience=Audience(tier_ids=["gold", "silver"])))
    assert obstacle.needs == ("gold", "silver")
    (obstacle,) = judged(an_offer(active_from=TOMORROW))
    assert obstacle.until == TOMORROW


def test_missing_tokens_are_counted_at_the_members_own_price() -> None:
    offer = an_offer(price_tokens=200, tier_prices={"gold": 170})
    assert judged(offer) == [Obstacle("insufficient_balance", missing_tokens=150)]
    assert judged(offer, tier_id="gold") == [Obstacle("insufficient_balance", missing_tokens=120)]
    assert judged(offer, tier_id="silver", quantity=2) == [Obstacle("insufficient_balance", missing_tokens=350)]
    assert judged(offer, cost_tokens=50) == []


def test_a_basket_needs_all_its_pieces() -> None:
    assert codes(an_offer(stock=2, price_tokens=10), quantity=2) == []
    assert codes(an_offer(stock=2, price_tokens=10), quantity=3) == ["out_of_stock"]


@pytest.mark.parametrize(("taken", "quantity", "fits"), [(0, 2, True), (0, 3, False), (1, 1, True), (2, 1, False)])
def test_a_limit_counts_what_was_taken(taken: int, quantity: int, fits: bool) -> None:
    count = Count("mem_1", "day", "2026-03-01", 2, TOMORROW)
    offer = an_offer(price_tokens=1, taken={count.key: taken, ("mem_2", "day", "2026-03-01"): 9})
    expected = [] if fits else [Obstacle("limit_reached", until=TOMORROW)]
    assert judged(offer, count, quantity=quantity) == expected


def test_the_words_say_what_is_missing_in_both_languages() -> None:
    (obstacle,) = judged(an_offer(price_tokens=170))
    assert (obstacle.text_fr, obstacle.text_en) == ("Encore 120 jetons.", "120 more tokens.")
    one = Obstacle("insufficient_balance", missing_tokens=1)
    assert (one.text_fr, one.text_en) == ("Encore 1 jeton.", "1 more token.")
    (obstacle,) = judged(an_offer(active_from=TOMORROW))
    assert (obstacle.text_fr, obstacle.text_en) == ("Disponible à partir du 02/03/2026.", "Available from 2026-03-02.")


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_words(code: str) -> None:
    obstacle = Obstacle(code, missing_tokens=1, until=NOW)
    assert obstacle.text_fr
    assert obstacle.text_en != obstacle.text_fr
