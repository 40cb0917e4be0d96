"""A hundred at once against real API processes on one database: limits hold, nothing is lost, nobody sees a fault."""

import asyncio
import subprocess
import sys
import time
from collections import Counter as Tally
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import SECRET, ApiWorld, open_world
from e2e.harness import environment
from fixtures.chain import free_port

CROWD = 100
START_S = 120.0


class Fleet:
    """API processes of one installation; requests go to each in turn."""

    def __init__(self, world: ApiWorld, clients: Sequence[httpx.AsyncClient]) -> None:
        self.world = world
        self.clients = clients

    async def post(self, number: int, who: str, path: str, body: Any, key: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.world.keys[who]}", "idempotency-key": key}
        return await self.clients[number % len(self.clients)].post(path, json=body, headers=headers)

    async def crowd(self, who: str, path: str, body: Any, key: str | None = None) -> Tally[tuple[int, str]]:
        """(status, problem's code) of a hundred requests at once, under one key or each under its own."""
        base = next(self.world.numbers)
        answers = await asyncio.gather(
            *(self.post(number, who, path, body, key or f"crowd-{base}-{number}") for number in range(CROWD))
        )
        return Tally((answer.status_code, answer.json().get("code", "")) for answer in answers)


def serve(**names: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "mereau.cli.serve_api"], env=environment(**names))


async def answering(client: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if (await client.get("/openapi.json")).status_code == 200:
                return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.05)


@pytest.fixture(params=[1, 4], ids=["one_worker", "four_workers"])
async def fleet(
    engine: AsyncEngine, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Fleet]:
    (tmp_path / "voucher.secret").write_text(SECRET.hex())
    names = {"MEREAU_DATABASE_URL": database_url, "MEREAU_DATA_DIR": str(tmp_path), "MEREAU_LOG_LEVEL": "WARNING"}
    async with open_world(engine) as world:
        with ExitStack() as stack:
            clients = []
            for _ in range(request.param):
                port = free_port()
                process = serve(MEREAU_PORT=str(port), **names)
                stack.callback(process.wait)
                stack.callback(process.terminate)
                clients.append(
                    httpx.AsyncClient(
                        base_url=f"http://127.0.0.1:{port}/api/v1",
                        timeout=60,
                        # A connection that idles between two crowds may be closed just as it is used again.
                        limits=httpx.Limits(max_connections=CROWD, max_keepalive_connections=0),
                    )
                )
            for client in clients:
                await answering(client)
            yield Fleet(world, clients)
            for client in clients:
                await client.aclose()


async def offered(world: ApiWorld, **changes: Any) -> str:
    reward = await world.made(
        "operator",
        "/rewards",
        {
            "external_id": f"race-{next(world.numbers)}", "partner_id": world.ids["partner_a"], "name_fr": "Un thé",
            "name_en": "A tea", "price_tokens": 17, "stock": CROWD,
        } | changes,
    )  # fmt: skip
    return str(reward["id"])


async def stock(world: ApiWorld, reward_id: str) -> int:
    return int((await world.get("operator", f"/rewards/{reward_id}")).json()["stock"])


async def cancel_all(world: ApiWorld) -> None:
    path = f"/members/{world.ids['member_a']}/redemptions"
    for redemption in (await world.get("member_a", path, limit=100)).json()["data"]:
        if redemption["state"] == "burning":
            await world.made("member_a", f"/redemptions/{redemption['id']}/cancel", {"reason": "changed_mind"})


async def test_a_hundred_at_once_get_what_there_is_and_no_more(fleet: Fleet) -> None:
    """120 tokens, a price of 17: seven. Then the same for one key, the last piece, a limit, a code and a voucher."""
    world = fleet.world
    path = f"/members/{world.ids['member_a']}/redemptions"
    balance = f"/members/{world.ids['member_a']}/balance"

    reward = await offered(world)
    found = await fleet.crowd("member_a", path, {"reward_id": reward})
    assert found == {(202, ""): 7, (409, "insufficient_balance"): CROWD - 7}
    assert await stock(world, reward) == CROWD - 7
    seen = (await world.get("member_a", balance)).json()
    assert (seen["available"], seen["held"]) == (1, 119)
    await cancel_all(world)
    assert (await stock(world, reward), (await world.get("member_a", balance)).json()["available"]) == (CROWD, 120)

    found = await fleet.crowd("member_a", path, {"reward_id": reward}, key="the one key")
    assert {status for status, _ in found} <= {202, 409}
    assert {code for status, code in found if status == 409} <= {"idempotency_in_flight"}
    assert await stock(world, reward) == CROWD - 1

    last = await offered(world, price_tokens=1, stock=1)
    found = await fleet.crowd("member_a", path, {"reward_id": last})
    assert found == {(202, ""): 1, (409, "out_of_stock"): CROWD - 1}

    limits = [{"per": "member", "pieces": 3, "period": "year"}]
    limited = await offered(world, price_tokens=1, limits=limits)
    found = await fleet.crowd("member_a", path, {"reward_id": limited})
    assert found == {(202, ""): 3, (409, "limit_reached"): CROWD - 3}
    assert await stock(world, limited) == CROWD - 3

    drawn = await world.made("member_a", path.replace("redemptions", "redemption-codes"), None)
    body = {"code": drawn["code"], "reward_id": await offered(world, price_tokens=1)}
    found = await fleet.crowd("staff", "/redemptions", body)
    assert found[202, ""] == 1
    assert found.keys() <= {(202, ""), (404, "unknown_code"), (429, "too_many_requests")}

    redemption = await world.made("member_a", path, {"reward_id": await offered(world, price_tokens=1)})
    use = {"code": await world.grant(redemption)}
    found = await fleet.crowd("partner_a", f"/redemptions/{redemption['id']}/use", use)
    assert found == {(200, ""): 1, (409, "voucher_used"): CROWD - 1}
