"""Several processes of each part against one database and one node: they share the work and replace each other."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import psycopg
import pytest

from e2e.fleet import Fleet, installed, measured
from e2e.harness import mereau, mereau_json, stop, wait_until

TAKEOVER_S = 10.0
"""The bar of the product: how long it may be without a relayer or a mirror."""

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with installed(tmp_path_factory.mktemp("fleet")) as made:
        yield made


def sale(number: int, partner: str) -> dict[str, Any]:
    return {
        "external_id": f"R-{number}", "partner_id": partner, "member": {"external_id": f"M-{number % 5}"},
        "occurred_at": "2026-11-01T09:30:00Z", "currency": "EUR",
        "lines": [{"sku": "bread", "quantity": 1, "unit_price_minor": 100 * number}],
    }  # fmt: skip


def test_parts_refuse_a_database_that_was_not_migrated(fleet: Fleet) -> None:
    """Nobody migrates by itself: many would at once, and an old process must not meet a new schema."""
    with psycopg.connect(fleet.names["MEREAU_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("create database empty")
    names = fleet.names | {"MEREAU_DATABASE_URL": fleet.names["MEREAU_DATABASE_URL"].replace("/postgres?", "/empty?")}
    assert "run `mereau migrate`" in mereau("mirror", expect=2, **names)
    mereau("migrate", **names)
    assert "No contract is deployed" in mereau("mirror", expect=2, **names)


def test_two_of_each_share_the_work_and_replace_each_other(fleet: Fleet, record_property: Any) -> None:
    """Killed in the middle of traffic, the ones at work are replaced, and no token is lost or doubled."""
    fleet.start("api 1", "api 2", "relayer 1", "relayer 2", "mirror 1", "mirror 2", "jobs 1", "jobs 2")
    for number in (0, 1):
        wait_until(lambda at=number: (fleet.ready(at) or {}).get("ready"), "readiness")
    partner = fleet.post("/partners", {"external_id": "shop", "name": "Shop"})["id"]
    for number in range(5):
        fleet.post("/members", {"external_id": f"M-{number}", "display_name": "Ada"}, number)
    numbers = count(1)

    def sell(times: int = 1) -> bool:
        for number in (next(numbers) for _ in range(times)):
            answer = fleet.post("/sales", sale(number, partner), number, key=f"key-{number}")
            # The other process answers the same of it at once, and to the same key as well.
            seen = fleet.get(f"/members/{answer['member_id']}/balance", number + 1)
            assert seen["available"] == answer["balance"]["available"]
            assert fleet.post("/sales", sale(number, partner), number + 1, key=f"key-{number}") == answer
            fleet.sold = number
        return True

    sell(10)
    took_s = {}
    for part in ("relayer", "mirror", "jobs"):
        wait_until(lambda at=part: fleet.active(at), f"a {part} at work")
        fallen = fleet.active(part)
        assert fallen is not None
        assert mereau_json("status", **fleet.names)[f"{part}_active"].endswith(f":{fleet.parts[fallen].pid}")
        fleet.kill(fallen)
        took_s[part] = measured(
            lambda at=part, gone=fallen: sell() and fleet.succeeded(at, gone), f"another {part}", TAKEOVER_S
        )
        sell(3)
    record_property("takeover_s", took_s)
    print(took_s)  # noqa: T201 - the figures are worth keeping beside the verdict
    fleet.settle()
    wait_until(lambda: (fleet.ready() or {}).get("ready"), "readiness")
    done = mereau_json("reconcile", **fleet.names)
    assert (done["drift_tokens"], done["supply_chain"]) == (0, fleet.sold * (fleet.sold + 1) // 2)
    assert minted(fleet) == list(range(1, fleet.sold + 1))
    assert {name: stop(part) for name, part in fleet.parts.items()} == dict.fromkeys(fleet.parts, 0)


def minted(fleet: Fleet) -> list[int]:
    """The amounts of all credits on the chain, in order of size: each sale has another one."""
    transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    query = {"fromBlock": "0x0", "toBlock": "latest", "topics": [transfer, "0x" + "0" * 64]}
    return sorted(int(log["data"], 16) for log in fleet.node("eth_getLogs", query))
