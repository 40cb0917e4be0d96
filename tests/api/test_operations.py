"""What supervisors and scrapers read, and what the chain's endpoints show."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import SECRET, ApiWorld, client_of, serve, settings
from fixtures.chain import ChainNode
from mereau.app import create_app
from mereau.chain.alarms import HEAD_AGE, set_alarm
from mereau.core.activity import PARTS
from mereau.core.config import Settings
from mereau.core.db import create_engine, transaction
from mereau.core.errors import ConfigurationError
from mereau.journal import service as journal


def figures(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def reasons(world: ApiWorld) -> list[str]:
    response = await world.get(None, "/../../readyz")
    body = response.json()
    assert (response.status_code, body["ready"]) == ((503, False) if body["reasons"] else (200, True))
    found: list[str] = body["reasons"]
    return found


async def test_readiness_names_what_is_missing(world: ApiWorld) -> None:
    assert await reasons(world) == ["No contract is deployed yet."]
    await world.deploy()
    assert await reasons(world) == ["The mirror has not heard of the chain lately."]
    await world.mine_everything()
    assert await reasons(world) == []
    await world.hand.write("update chain_mirror set frozen_reason = 'a reorg deeper than finality'")
    assert await reasons(world) == ["The mirror is frozen: a reorg deeper than finality"]
    await world.hand.write("update chain_mirror set frozen_reason = null, checked_at = now() - interval '1 hour'")
    assert await reasons(world) == ["The mirror has not heard of the chain lately."]
    await world.hand.write("update alembic_version set version_num = 'older'")
    (found,) = await reasons(world)
    assert "mereau migrate" in found


async def test_alarms_are_shown_and_only_an_old_head_makes_unready(world: ApiWorld) -> None:
    await world.deploy()
    await world.mine_everything()
    raised = datetime(2026, 11, 23, tzinfo=UTC)

    async def tell(name: str, detail: str | None) -> None:
        async with transaction(world.engine) as session:
            await set_alarm(session, name, detail, raised)

    await tell("relayer_funds", "gas money for 3 more batches")
    ready = await world.get(None, "/../../readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"ready": True, "reasons": [], "alarms": ["relayer_funds"], "active": dict.fromkeys(PARTS)},
    )
    status = (await world.get("auditor", "/chain/status")).json()
    assert status["is_current"]
    assert status["alarms"] == [
        {"name": "relayer_funds", "detail": "gas money for 3 more batches", "since": "2026-11-23T00:00:00Z"}
    ]
    await tell(HEAD_AGE, "the newest block is 70 s old")
    await tell("relayer_funds", None)
    assert await reasons(world) == ["head_age: the newest block is 70 s old"]
    assert (await world.get("auditor", "/chain/status")).json()["is_current"] is False
    await tell(HEAD_AGE, None)
    assert await reasons(world) == []
    assert (await world.get("auditor", "/chain/status")).json()["alarms"] == []


async def test_an_empty_database_is_not_ready(postgres_url: str) -> None:
    engine = create_engine(postgres_url, connections_max=1)
    async with client_of(serve(engine)) as client:
        response = await client.get("http://mereau.test/readyz")
    await engine.dispose()
    assert response.status_code == 503
    assert "mereau migrate" in response.json()["reasons"][0]


async def test_readiness_asks_the_node(world: ApiWorld, chain_node: ChainNode) -> None:
    await world.deploy()
    await world.mine_everything()
    for url, expected in ((chain_node.url, []), ("http://127.0.0.1:1", ["The chain's node does not answer."])):
        app = serve(world.engine, chain_url=url)
        async with app.router.lifespan_context(app), client_of(app, world.keys["member_a"]) as client:
            ready = (await client.get("http://mereau.test/readyz")).json()
            status = (await client.get("/chain/status")).json()
        assert ready["reasons"] == expected
        assert status["node_answers"] is (not expected)


async def test_metrics_tell_requests_and_state(world: ApiWorld) -> None:
    await world.get("operator", f"/members/{world.ids['member_a']}")
    await world.send("operator", "BREW", "/members/anything")
    before = figures((await world.get(None, "/../../metrics")).text)
    assert before["mereau_orders_queued", ()] >= 1
    assert before["mereau_http_requests_total", (
        ("method", "GET"), ("route", "/api/v1/members/{member_id}"), ("status", "200"),
    )] == 1  # fmt: skip
    assert not any("BREW" in str(key) or world.ids["member_a"] in str(key) for key in before)
    await world.mine_everything()
    after = figures((await world.get(None, "/../../metrics")).text)
    assert after["mereau_orders_queued", ()] < before["mereau_orders_queued", ()]
    assert after["mereau_batches", (("state", "final"),)] >= 1
    assert (after["mereau_mirror_frozen", ()], after["mereau_supply_tokens", ()]) == (0, 120)


async def test_drift_is_a_figure_only_after_a_reconciliation(world: ApiWorld) -> None:
    async def drift() -> float | None:
        return figures((await world.get(None, "/../../metrics")).text).get(("mereau_drift_tokens", ()))

    assert await drift() is None
    for tokens in (7, 0):
        async with transaction(world.engine) as session:
            await journal.record(
                session,
                at=datetime.now(UTC),
                actor="system",
                action="reconciliation.reported",
                subject_id="block:1",
                detail={"drift_tokens": tokens},
            )
        assert await drift() == tokens


async def test_batches_are_listed_newest_first_and_shown_with_their_orders(world: ApiWorld) -> None:
    await world.mine_everything()
    first = world.ids["batch"]
    await world.made("partner_b", "/sales", world.a_sale())
    await world.mine_everything()
    page = (await world.get("auditor", "/batches", limit=1)).json()
    rest = (await world.get("auditor", "/batches", limit=1, cursor=page["next_cursor"])).json()
    assert [batch["id"] for batch in page["data"] + rest["data"]] == [world.ids["batch"], first]
    assert (page["has_more"], rest["has_more"]) == (True, False)
    batch = (await world.get("auditor", f"/batches/{first}")).json()
    assert (batch["kind"], batch["state"], batch["partner_number"], batch["order_count"]) == ("issue", "final", 1, 1)
    (order,) = batch["orders"]
    assert (order["tokens"], order["index"], len(order["wallet"]), len(order["commitment"])) == ("120", 0, 42, 66)


@pytest.mark.parametrize("batch_id", ["bat_01K9Q2M4T6V8X0Z2B4D6F8H0J2", "bat_1", "ent_01K9Q2M4T6V8X0Z2B4D6F8H0J2"])
async def test_an_unknown_batch_is_not_found(world: ApiWorld, batch_id: str) -> None:
    assert (await world.get("auditor", f"/batches/{batch_id}")).status_code == 404


async def test_supply_and_status_wait_for_the_mirror(world: ApiWorld) -> None:
    for path in ("/supply", "/chain/status"):
        response = await world.get("member_a", path)
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    await world.deploy()
    assert (await world.get("member_a", "/chain/status")).json()["head_number"] is None
    await world.mine_everything()
    supply = (await world.get("member_a", "/supply")).json()
    status = (await world.get("member_a", "/chain/status")).json()
    assert supply["tokens"] == "120"
    assert (status["chain_id"], status["head_number"], status["is_current"]) == (20826, supply["block_number"], True)


def test_an_application_needs_a_database_and_its_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MEREAU_DATABASE_URL"):
        create_app(settings())
    with pytest.raises(ConfigurationError, match="voucher secret"):
        create_app(settings(database_url="postgresql://x/y", data_dir=tmp_path))


async def test_the_factory_reads_the_environment(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server calls: everything from the environment, an engine of its own, closed at the end."""
    (tmp_path / "voucher.secret").write_text(SECRET.hex())
    for name, value in {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path), "LOG_FORMAT": "json"}.items():
        monkeypatch.setenv(f"MEREAU_{name}", value)
    assert Settings(_env_file=None).database_url == database_url
    app: Any = create_app()
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get("/rewards")).status_code == 401
        assert (await client.get("http://mereau.test/readyz")).json()["reasons"] == ["No contract is deployed yet."]
    assert app.state.site.engine.pool.checkedout() == 0


BY_CODE = {"/api/v1/surveys/{code}/answers"}
"""Whoever holds the code may: no key is asked for."""


async def test_the_document_is_complete(engine: AsyncEngine) -> None:
    async with client_of(serve(engine)) as client:
        document = (await client.get("/openapi.json")).json()
    operations = {
        (path, verb): operation for path, verbs in document["paths"].items() for verb, operation in verbs.items()
    }
    text = str(document)
    assert "HTTPValidationError" not in text
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    for (path, _), operation in operations.items():
        assert operation["summary"], path
        assert operation.get("description"), path
        assert all("X-Request-Id" in response["headers"] for response in operation["responses"].values())
        if path.startswith("/api/v1"):
            assert bool(operation.get("security")) is (path not in BY_CODE), path
            assert {"401", "403", "503"} <= operation["responses"].keys(), path
        # Files are sent as they are; every document has a schema with an example.
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
            schema = document["components"]["schemas"][name]
            assert schema["additionalProperties"] is False
            assert "example" in schema, name
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                reference = content.get("schema", {}).get("$ref")
                assert reference is None or reference.rsplit("/", 1)[1] in document["components"]["schemas"]
    sales = operations["/api/v1/sales", "post"]
    (header,) = [parameter for parameter in sales["parameters"] if parameter["in"] == "header"]
    assert (header["name"], header["required"]) == ("Idempotency-Key", True)
