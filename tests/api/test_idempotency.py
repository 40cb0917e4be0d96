"""The matrix of Idempotency-Key: missing, invalid, repeated, reused, in flight, and what is kept of refusals."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api.authorisation import EXPECTED
from api.world import ApiWorld
from mereau.auth import idempotency, repository
from mereau.auth.domain import Role
from mereau.auth.once import lock_of
from mereau.auth.tasks import forget_idempotency_keys
from mereau.core.db import transaction

TOKEN_ROUTES = (
    "POST /api/v1/sales",
    "POST /api/v1/sales/batch",
    "POST /api/v1/sales/{sale_id}/returns",
    "POST /api/v1/members/{member_id}/redemptions",
    "POST /api/v1/redemptions/{redemption_id}/use",
)


async def kept(world: ApiWorld) -> int:
    async with world.engine.connect() as connection:
        return int((await connection.scalar(text("select count(*) from idempotency_keys"))) or 0)


async def entries(world: ApiWorld) -> int:
    async with world.engine.connect() as connection:
        return int((await connection.scalar(text("select count(*) from entries"))) or 0)


def otherwise(body: dict[str, Any]) -> dict[str, Any]:
    """A sound body that says something else."""
    if "sales" in body:
        return {"sales": [body["sales"][0] | {"shipping_minor": 1}]}
    if "code" in body:
        return {"code": "0000-0000-0000-0000"}
    return body | {"external_id": "something else"}


@pytest.mark.parametrize("route", TOKEN_ROUTES)
async def test_the_same_key_answers_the_same_once(world: ApiWorld, route: str) -> None:
    path, body = await EXPECTED[route].build(world)
    first = await world.post("operator", path, body, key="k-1")
    after_first = await world.fingerprint()
    again = await world.post("operator", path, body, key="k-1")
    assert first.status_code in {200, 201, 202}
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers.get("location") == first.headers.get("location")
    assert await world.fingerprint() == after_first


@pytest.mark.parametrize("route", TOKEN_ROUTES)
async def test_the_same_key_with_another_body_is_refused(world: ApiWorld, route: str) -> None:
    path, body = await EXPECTED[route].build(world)
    await world.post("operator", path, body, key="k-1")
    before = await world.fingerprint()
    other = await world.post("operator", path, otherwise(body), key="k-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await world.fingerprint() == before


@pytest.mark.parametrize("route", TOKEN_ROUTES)
async def test_a_missing_key_is_refused(world: ApiWorld, route: str) -> None:
    path, body = await EXPECTED[route].build(world)
    before = await world.fingerprint()
    headers = {"authorization": f"Bearer {world.keys['operator']}"}
    response = await world.client.post(path, json=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_missing")
    assert await world.fingerprint() == before


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", b"caf\xc3\xa9", b"\x7f"])
async def test_a_key_that_is_none_is_refused(world: ApiWorld, key: Any) -> None:
    response = await world.post("partner_a", "/sales", world.a_sale(), headers={"idempotency-key": key})
    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_invalid")


@pytest.mark.parametrize("key", ["x", "x" * 255, "~ !\"#$%&'()*+,-./:;<=>?@[]^_`{|}", "2026-11-23 0042"])
async def test_any_printable_key_is_taken(world: ApiWorld, key: str) -> None:
    assert (await world.post("partner_a", "/sales", world.a_sale(), key=key)).status_code == 201


async def test_spacing_and_order_of_the_body_do_not_matter(world: ApiWorld) -> None:
    sale = world.a_sale()
    reordered = dict(reversed(sale.items())) | {"shipping_minor": 0, "location_id": None}
    first = await world.post("partner_a", "/sales", sale, key="k-1")
    again = await world.post("partner_a", "/sales", reordered, key="k-1")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert again.json() == first.json()


async def test_the_same_key_at_another_path_is_another_request(world: ApiWorld) -> None:
    sale = world.a_sale()
    await world.post("partner_a", "/sales", sale, key="k-1")
    response = await world.post("partner_a", "/sales/batch", {"sales": [sale]}, key="k-1")
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


async def test_keys_belong_to_the_api_key_that_used_them(world: ApiWorld) -> None:
    sale = world.a_sale()
    first = await world.post("partner_a", "/sales", sale, key="shared")
    other = await world.post("partner_b", "/sales", sale, key="shared")
    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json()["id"] != other.json()["id"]


async def test_a_refusal_is_not_kept(world: ApiWorld) -> None:
    """Tokens may arrive meanwhile: the repetition is judged anew."""
    path = f"/members/{world.ids['member_b']}/redemptions"
    body = {"reward_id": world.ids["reward"]}
    before = await kept(world)
    poor = await world.post("member_b", path, body, key="k-1")
    assert (poor.status_code, poor.json()["code"]) == (409, "insufficient_balance")
    assert await kept(world) == before
    gift = world.a_sale(member={"id": world.ids["member_b"]}, lines=[{"sku": "cake", "amount_minor": 5_000}])
    await world.made("partner_b", "/sales", gift)
    assert (await world.post("member_b", path, body, key="k-1")).status_code == 202


async def test_the_business_reference_counts_once_under_any_key(world: ApiWorld) -> None:
    sale = world.a_sale()
    first = await world.post("partner_a", "/sales", sale)
    again = await world.post("partner_a", "/sales", sale)
    assert (first.status_code, again.status_code) == (201, 200)
    assert (again.json()["id"], again.json()["duplicate"]) == (first.json()["id"], True)
    other = await world.post("partner_a", "/sales", sale | {"shipping_minor": 1})
    assert (other.status_code, other.json()["code"]) == (409, "recorded_otherwise")


async def test_parallel_repetitions_have_one_effect(world: ApiWorld) -> None:
    sale = world.a_sale()
    before = await entries(world)
    responses = await asyncio.gather(*(world.post("partner_a", "/sales", sale, key="k-1") for _ in range(8)))
    codes = {response.status_code for response in responses}
    assert codes <= {201, 409}
    assert 201 in codes
    assert {response.json()["code"] for response in responses if response.status_code == 409} <= {
        "idempotency_in_flight"
    }
    assert len({response.json()["id"] for response in responses if response.status_code == 201}) == 1
    assert await entries(world) == before + 1
    assert (await world.post("partner_a", "/sales", sale, key="k-1")).headers["idempotent-replayed"] == "true"


async def test_parallel_sales_of_one_reference_have_one_effect(world: ApiWorld) -> None:
    sale = world.a_sale()
    before = await entries(world)
    responses = await asyncio.gather(*(world.post("partner_a", "/sales", sale) for _ in range(6)))
    assert sorted(response.status_code for response in responses) == [200] * 5 + [201]
    assert len({response.json()["id"] for response in responses}) == 1
    assert await entries(world) == before + 1


async def test_a_request_in_flight_is_told_apart(world: ApiWorld) -> None:
    sale = world.a_sale()
    async with transaction(world.engine) as session:
        name = (world.key_ids["partner_a"], "k-1")
        (claim,) = await repository.claim(session, [(lock_of(*name), *name)])
        assert claim == repository.Claim(locked=True, request_digest=None, answer=None)
        waiting = await world.post("partner_a", "/sales", sale, key="k-1")
        assert (waiting.status_code, waiting.json()["code"]) == (409, "idempotency_in_flight")
        assert waiting.headers["retry-after"] == "1"
    assert (await world.post("partner_a", "/sales", sale, key="k-1")).status_code == 201


async def test_a_rival_that_finished_unseen_is_met_at_the_end(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the snapshot of the look and the lock, a twin may commit: our effect must go."""
    sale = world.a_sale()
    await world.post("partner_a", "/sales", world.a_sale(), key="k-1")
    before = await world.fingerprint()

    async def blind(_: Any, asked: list[Any]) -> list[repository.Claim]:
        return [repository.Claim(locked=True, request_digest=None, answer=None) for _ in asked]

    monkeypatch.setattr(repository, "claim", blind)
    response = await world.post("partner_a", "/sales", sale, key="k-1")
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_in_flight")
    assert await world.fingerprint() == before


async def test_an_effect_that_another_transaction_crossed_runs_again(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, calls = repository.keep, []

    async def crossed(session: Any, answers: Any) -> int:
        calls.append(1)
        if len(calls) < 3:
            await session.execute(text("do $$ begin raise exception using errcode = '40P01'; end $$"))
        return await keep(session, answers)

    monkeypatch.setattr(repository, "keep", crossed)
    before = await entries(world)
    assert (await world.post("partner_a", "/sales", world.a_sale())).status_code == 201
    assert (len(calls), await entries(world)) == (3, before + 1)


async def test_a_crossing_that_does_not_end_is_a_503(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crossed(session: Any, answers: list[Any]) -> int:
        await session.execute(text("do $$ begin raise exception using errcode = '40001'; end $$"))
        return len(answers)

    monkeypatch.setattr(repository, "keep", crossed)
    before = await world.fingerprint()
    response = await world.post("partner_a", "/sales", world.a_sale())
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert await world.fingerprint() == before


async def test_answers_are_committed_before_they_are_sent(world: ApiWorld) -> None:
    """Whoever has the answer may read the effect on any connection."""
    for _ in range(5):
        sale = await world.made("partner_a", "/sales", world.a_sale())
        async with world.engine.connect() as connection:
            found = await connection.scalar(text("select count(*) from sales where id = :id"), {"id": sale["id"]})
        assert found == 1


async def test_old_answers_are_forgotten_in_chunks(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mereau.auth.tasks._CHUNK_ROWS", 2)
    for index in range(5):
        await world.post("partner_a", "/sales", world.a_sale(), key=f"old-{index}")
    before = await kept(world)
    now = datetime.now(UTC)
    assert await forget_idempotency_keys(world.engine, now) == 0
    async with transaction(world.engine) as session:
        await session.execute(
            text("update idempotency_keys set created_at = :at where key like 'old-%'"),
            {"at": now - timedelta(days=31)},
        )
    assert await forget_idempotency_keys(world.engine, now) == 5
    assert await kept(world) == before - 5


async def test_locks_differ_between_keys_and_owners() -> None:
    names = [("key_1", "a"), ("key_1", "b"), ("key_2", "a"), ("key_1\na", ""), ("key_1", "\na")]
    locks = {lock_of(*name) for name in names[:3]}
    assert len(locks) == 3
    assert all(-(2**63) <= lock < 2**63 for lock in locks)
    assert idempotency.KEY_CHARS_MAX == 255
    assert Role.PARTNER == "partner"
