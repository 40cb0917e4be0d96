"""The catalogue over HTTP: offering, changing, showing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world

UNKNOWN = "01K9Q2M4T6V8X0Z2B4D6F8H0J2"
LONG_AGO, FAR_OFF = "2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"
PHOTO = {"url": "https://img.example/tea.jpg", "alt_fr": "Une tasse", "alt_en": "A cup"}


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


def a_reward(world: ApiWorld, **changes: Any) -> dict[str, Any]:
    return {
        "external_id": f"tea-{next(world.numbers)}", "partner_id": world.ids["partner_a"], "name_fr": "Un thé",
        "name_en": "A tea", "price_tokens": 20,
    } | changes  # fmt: skip


async def offered(world: ApiWorld, **changes: Any) -> dict[str, Any]:
    return await world.made("operator", "/rewards", a_reward(world, **changes))


async def patch(world: ApiWorld, reward_id: str, body: Any) -> Any:
    return await world.send("operator", "PATCH", f"/rewards/{reward_id}", body)


async def shown(world: ApiWorld, who: str = "member_a", **filters: Any) -> list[str]:
    return [reward["id"] for reward in (await world.get(who, "/rewards", **filters)).json()["data"]]


async def test_everything_that_is_said_is_shown(world: ApiWorld) -> None:
    said = {
        "terms": {"kind": "discount", "form": "value", "amount_minor": 500, "currency": "EUR"},
        "description_fr": "Cinq euros\nde moins", "description_en": "Five euros off", "category": "Shop",
        "brand": "Leaf", "labels": ["bio", "new"], "photos": [PHOTO], "featured_position": 3,
        "visible_from": LONG_AGO, "active_until": FAR_OFF, "audience": {"channels": ["app"]},
        "tier_prices": {f"tir_{UNKNOWN}": 15}, "automatic_at_tokens": 90, "validity_days": 30,
        "limits": [{"per": "member", "pieces": 1, "period": "month"}, {"per": "everybody", "pieces": 100}],
    }  # fmt: skip
    made = await offered(world, **said)
    read = (await world.get("operator", f"/rewards/{made['id']}")).json()
    assert read == made
    for name, value in said.items():
        match value:
            case dict():
                assert read[name].items() >= value.items()
            case [dict(), *_]:
                assert [seen | wanted for seen, wanted in zip(read[name], value, strict=True)] == read[name]
            case _:
                assert read[name] == value
    assert (read["version"], read["stock"]) == (1, None)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"price_tokens": 0}, "/price_tokens"),
        ({"terms": {"kind": "yacht"}}, "/terms"),
        ({"terms": {"kind": "discount", "form": "percent"}}, "/terms/percent"),
        ({"photos": [PHOTO | {"url": "javascript:alert(1)"}]}, "/photos/0/url"),
        ({"limits": [{"per": "member", "pieces": 0}]}, "/limits/0/pieces"),
        ({"limits": [{"per": "member", "pieces": 1, "period": "fortnight"}]}, "/limits/0/period"),
        ({"visible_from": FAR_OFF, "visible_until": LONG_AGO}, "/visible_until"),
        ({"audience": {"tier_ids": ["gold"]}}, "/audience/tier_ids/0"),
        ({"tier_prices": {"gold": 1}}, "/tier_prices/gold/[key]"),
        ({"description_fr": "a\x00b"}, None),
        ({"automatic_at_tokens": 3}, "/automatic_at_tokens"),
        ({"version": 7}, "/version"),
    ],
    ids=str,
)
async def test_what_does_not_fit_is_named_and_leaves_nothing(
    world: ApiWorld, changes: dict[str, Any], pointer: str | None
) -> None:
    before = await world.fingerprint()
    response = await world.post("operator", "/rewards", a_reward(world, **changes))
    assert response.status_code in {400, 422}
    if pointer is not None:
        assert pointer in [error["pointer"] for error in response.json()["errors"]]
    assert await world.fingerprint() == before


async def test_featured_rewards_come_first_in_their_order(world: ApiWorld) -> None:
    last = (await offered(world))["id"]
    second = (await offered(world, featured_position=20))["id"]
    first = (await offered(world, featured_position=3))["id"]
    assert await shown(world) == [first, second, world.ids["reward"], last]
    page = (await world.get("member_a", "/rewards", limit=3)).json()
    assert await shown(world, limit=3, cursor=page["next_cursor"]) == [last]


async def test_the_visible_window_is_not_the_active_window(world: ApiWorld) -> None:
    early = (await offered(world, visible_from=FAR_OFF))["id"]
    late = (await offered(world, visible_until=LONG_AGO))["id"]
    teaser = (await offered(world, active_from=FAR_OFF))["id"]
    assert await shown(world) == [world.ids["reward"], teaser]
    assert set(await shown(world, "auditor")) == {world.ids["reward"], early, late, teaser}
    for reward_id, status in ((early, 404), (late, 404), (teaser, 200)):
        assert (await world.get("member_a", f"/rewards/{reward_id}")).status_code == status
        assert (await world.get("operator", f"/rewards/{reward_id}")).status_code == 200
    refused = await world.post("member_a", f"/members/{world.ids['member_a']}/redemptions", {"reward_id": teaser})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_yet")


async def test_the_catalogue_is_narrowed_by_category_and_label(world: ApiWorld) -> None:
    tea = (await offered(world, category="drinks", labels=["bio", "hot"]))["id"]
    await offered(world, category="food", labels=["hot"])
    assert await shown(world, category="drinks") == [tea]
    assert await shown(world, label="bio") == [tea]
    assert await shown(world, category="food", label="bio") == []


class TestChange:
    async def test_only_what_is_sent_changes_and_is_journalled(self, world: ApiWorld) -> None:
        made = await offered(world, stock=5, category="drinks")
        changed = (await patch(world, made["id"], {"price_tokens": 25, "category": None})).json()
        assert changed == made | {"price_tokens": 25, "category": None, "version": 2}
        acts = await world.hand.rows(
            "select actor, detail from journal_entries where subject_id = :id and action = 'reward.changed'",
            id=made["id"],
        )
        assert [(act.actor, act.detail) for act in acts] == [
            (
                world.key_ids["operator"],
                {"price_tokens": {"from": 20, "to": 25}, "category": {"from": "drinks", "to": None}},
            )
        ]

    async def test_versions_tell_what_it_was(self, world: ApiWorld) -> None:
        made = await offered(world)
        await patch(world, made["id"], {"price_tokens": 25})
        await patch(world, made["id"], {"stock": 7})
        pages = (await world.get("auditor", f"/rewards/{made['id']}/versions", limit=1)).json()
        rest = await world.get("auditor", f"/rewards/{made['id']}/versions", limit=5, cursor=pages["next_cursor"])
        found = [(item["version"], item["content"]["price_tokens"]) for item in pages["data"] + rest.json()["data"]]
        assert found == [(1, 20), (2, 25)]

    async def test_the_same_again_is_no_change(self, world: ApiWorld) -> None:
        made = await offered(world, labels=["bio"])
        before = await world.fingerprint()
        assert (await patch(world, made["id"], {"labels": ["bio"], "price_tokens": 20})).json() == made
        assert (await patch(world, made["id"], {})).json() == made
        assert await world.fingerprint() == before

    async def test_redemptions_keep_what_they_were_made_with(self, world: ApiWorld) -> None:
        terms = {"kind": "discount", "form": "percent", "percent": 10}
        made = await offered(world, terms=terms)
        path = f"/members/{world.ids['member_a']}/redemptions"
        redeemed = await world.made("member_a", path, {"reward_id": made["id"]})
        await patch(world, made["id"], {"price_tokens": 99, "terms": terms | {"percent": 5}})
        seen = (await world.get("member_a", f"/redemptions/{redeemed['id']}")).json()
        assert (seen["tokens"], seen["reward_version"], seen["promise"]) == (20, 1, {"form": "percent", "percent": 10})

    @pytest.mark.parametrize(
        "body",
        [
            {"terms": {"kind": "sample"}}, {"partner_id": f"par_{UNKNOWN}"}, {"external_id": "other"}, {"version": 9},
            {"name_fr": None}, {"name_en": ""}, {"price_tokens": None}, {"price_tokens": 0}, {"stock": -1},
            {"visible_until": LONG_AGO, "visible_from": FAR_OFF}, {"status": "gone"},
        ],
        ids=str,
    )  # fmt: skip
    async def test_what_cannot_be_changes_nothing(self, world: ApiWorld, body: dict[str, Any]) -> None:
        before = await world.fingerprint()
        assert (await patch(world, world.ids["reward"], body)).status_code == 422
        assert await world.fingerprint() == before

    async def test_an_unknown_reward_is_not_found(self, world: ApiWorld) -> None:
        for reward_id in (f"rwd_{UNKNOWN}", "rwd_1"):
            assert (await patch(world, reward_id, {"stock": 1})).status_code == 404
            assert (await world.get("operator", f"/rewards/{reward_id}/versions")).status_code == 404
            assert (await world.get("operator", f"/rewards/{reward_id}")).status_code == 404
