"""A till at work: an earning rule, an API key, and API processes that answer over HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from faults.mortal import Point
from faults.stage import Stage
from fixtures.chain import free_port
from mereau.auth import service as auth
from mereau.auth.domain import Role
from mereau.auth.service import KeyDraft
from mereau.core.db import transaction
from mereau.earning import service as earning

RULE = {"rate": {"tokens": 1, "per_minor": 100}, "basis": "post_discount"}
SOLD: dict[str, Any] = {
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
async def client_of(
    stage: Stage, headers: Mapping[str, str], point: Point | None = None, **changes: str
) -> AsyncIterator[httpx.AsyncClient]:
    """An API process of its own that is ready to answer; told to stop at the end, unless it died at `point`."""
    port = free_port()
    process = stage.start("api", point=point, MEREAU_PORT=str(port), **changes)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20, trust_env=False
    ) as client:

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


async def post(client: httpx.AsyncClient, path: str, body: Any, key: str) -> httpx.Response:
    return await client.post(f"/api/v1{path}", json=body, headers={"idempotency-key": key})
