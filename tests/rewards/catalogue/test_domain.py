"""What a reward may say: judged field by field."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mereau.rewards.catalogue.domain import RewardDraft, findings, price_for
from mereau.rewards.kinds.domain import Discount, Experience, Gift, Sample, Service
from mereau.rewards.limits.domain import Limit

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
POOL = Discount(form="free_delivery", codes="pool")


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({}, []),
        ({"external_id": " "}, ["/external_id"]),
        ({"name_fr": "", "name_en": ""}, ["/name_fr", "/name_en"]),
        ({"price_tokens": 0}, ["/price_tokens"]),
        ({"price_tokens": 2**53}, ["/price_tokens"]),
        ({"stock": -1}, ["/stock"]),
        ({"stock": 0}, []),
        ({"validity_days": 0}, ["/validity_days"]),
        ({"validity_days": 3_651}, ["/validity_days"]),
        ({"visible_from": NOW, "visible_until": NOW}, ["/visible_until"]),
        ({"active_from": NOW, "active_until": NOW - DAY}, ["/active_until"]),
        ({"visible_from": NOW, "visible_until": NOW + DAY, "active_until": NOW}, []),
        ({"tier_prices": {"tir_1": 0, "tir_2": 4, "tir_3": 2**53}}, ["/tier_prices/tir_1", "/tier_prices/tir_3"]),
        ({"limits": [Limit("member", 0)]}, ["/limits/0/pieces"]),
        ({"terms": POOL}, []),
        ({"terms": POOL, "stock": 3}, ["/stock"]),
        ({"terms": Gift(goods=["mug"]), "stock": 3}, ["/stock"]),
        ({"terms": Gift(), "stock": 3}, []),
        ({"terms": Discount(form="percent")}, ["/terms/percent"]),
        ({"automatic_at_tokens": 5}, []),
        ({"automatic_at_tokens": 4}, ["/automatic_at_tokens"]),
        (
            {"automatic_at_tokens": 9, "terms": Experience(starts_at="2026-06-01T18:00:00Z", place="x")},
            ["/automatic_at_tokens"],
        ),
    ],
    ids=str,
)
def test_a_reward_is_judged_field_by_field(changes: dict[str, Any], pointers: list[str]) -> None:
    fields: dict[str, Any] = {
        "external_id": "r", "partner_id": "p", "name_fr": "a", "name_en": "b", "price_tokens": 5, "terms": Sample(),
    }  # fmt: skip
    assert [finding.pointer for finding in findings(RewardDraft(**fields | changes))] == pointers


def test_a_draft_is_a_service_without_limits_unless_it_says_otherwise() -> None:
    draft = RewardDraft("r", "p", "a", "b", 5)
    assert (draft.terms, draft.limits, draft.stock) == (Service(), (), None)


def test_a_tier_without_a_price_of_its_own_pays_the_common_one() -> None:
    prices = {"tir_gold": 30}
    assert [price_for(40, prices, tier) for tier in ("tir_gold", "tir_silver", None)] == [30, 40, 40]
