"""SIGKILL of the API around the commit of a sale: the client repeats with its key and gets the one result."""

from typing import Any

import httpx
import pytest

from faults.mortal import Moment, Point
from faults.scenes import ACCEPT
from faults.shop import SOLD, client_of, open_shop, post
from faults.stage import Stage

pytestmark = pytest.mark.node

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
            await post(client, path, body, "till-1")
    async with client_of(stage, headers) as client:
        answers = [await post(client, path, body, "till-1") for _ in range(2)]
        other = await post(client, path, body, "till-2")
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
