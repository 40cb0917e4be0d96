"""SIGKILL of the API around the commit of a sale: the client repeats with its key and gets the one result."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from faults.mortal import Moment, Point
from faults.scenes import ACCEPT
from faults.stage import Stage
from fixtures.chain import free_port
from mereau.auth import service as auth
from mereau.auth.domain import Role
from mereau.auth.service import KeyDraft
from mereau.core.db import transaction
from mereau.earning import service as earning

pytestmark = pytest.mark.node

RULE = {"rate": {"tokens": 1, "per_minor": 100}, "basis": "post_discount"}
SOLD = {
    "member": {"external_id": "M1"},
    "occurred_at": "2026-11-01T09:30:00Z",
    "currency": "EUR",
    "lines": [{"sku": "bread", "quantity": 3, "unit_price_minor": 400}],
}


async def open_shop(stage: Stage) -> dict[str, str]:
    """A rule, and the headers of the bakery's till."""
    now = stage.ledger.now
    async with transaction(stage.ledger.engine) as session:
        rule = await earning.create_rule(session, "base", RULE, now, actor="test")
        await earning.activate_rule(session, rule.id, now, actor="test")
        draft = KeyDraft(Role.PARTNER, "till", partner_id=stage.ledger.partners[0].id)
        _, text = await auth.create_api_key(session, draft, now)
    return {"authorization": f"Bearer {text}"}


@asynccontextmanager
async def client_of(stage: Stage, headers: Mapping[str, str], point: Point | None) -> AsyncIterator[httpx.AsyncClient]:
    """An API process of its own that is ready to answer."""
    port = free_port()
    process = stage.start("api", point=point, MEREAU_PORT=str(port))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/healthz")).status_code == 200
            except httpx.TransportError:
                return False

        await stage.until(answers, "the API")
        yield client
    if point is None:
        await stage.stopped(process)
    else:
        await stage.died(process)


async def sell(client: httpx.AsyncClient, path: str, body: Any, key: str) -> httpx.Response:
    return await client.post(f"/api/v1{path}", json=body, headers={"idempotency-key": key})


BODIES: dict[str, dict[str, Any]] = {
    "/sales": SOLD | {"external_id": "R-1"},
    "/sales/batch": {"sales": [SOLD | {"external_id": f"R-{number}"} for number in (1, 2)]},
}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_killed_api_has_taken_the_sale_or_not(stage: Stage, moment: Moment, path: str) -> None:
    headers, body = await open_shop(stage), BODIES[path]
    async with client_of(stage, headers, Point(ACCEPT, moment)) as client:
        with pytest.raises(httpx.TransportError):
            await sell(client, path, body, "till-1")
    async with client_of(stage, headers, None) as client:
        answers = [await sell(client, path, body, "till-1") for _ in range(2)]
        other = await sell(client, path, body, "till-2")
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [
        "true" if moment == "after" else None,
        "true",
    ]
    assert answers[0].is_success
    assert answers[0].content == answers[1].content
    # The receipt's own number holds even where the client forgot the key.
    assert other.is_success
    sales = await stage.ledger.rows("select external_id from sales order by external_id")
    assert [row.external_id for row in sales] == [one["external_id"] for one in body.get("sales", [body])]
    await stage.finished()
    await stage.assert_exact()
    assert sorted(await stage.minted()) == [12] * len(sales) + [100]
