"""Balances and statements over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from factories.ledger import LedgerWorld, make_world
from mereau.core.db import snapshot
from mereau.ledger.balances.queries import find_balance


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


class TestBalance:
    async def test_it_follows_the_sale_and_the_chain(self, world: ApiWorld) -> None:
        path = f"/members/{world.ids['member_a']}/balance"
        assert (await world.get("member_a", path)).json() == {
            "member_id": world.ids["member_a"], "available": 120, "pending": 0, "held": 0, "debt": 0,
            "on_chain": {"tokens": "0", "block_number": None}, "expiring_next": None,
        }  # fmt: skip
        await world.mine_everything()
        seen = (await world.get("member_a", path)).json()
        assert seen["on_chain"]["tokens"] == "120"
        assert int(seen["on_chain"]["block_number"]) > 0
        await world.a_redemption()
        seen = (await world.get("member_a", path)).json()
        assert (seen["available"], seen["held"], seen["on_chain"]["tokens"]) == (70, 50, "120")

    async def test_a_member_without_entries_has_nothing(self, world: ApiWorld) -> None:
        seen = (await world.get("member_b", f"/members/{world.ids['member_b']}/balance")).json()
        assert (seen["available"], seen["on_chain"]["tokens"]) == (0, "0")

    @pytest.mark.parametrize("member_id", ["mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2", "mem_x", "x"])
    async def test_an_unknown_member_is_not_found(self, world: ApiWorld, member_id: str) -> None:
        for what in ("balance", "entries"):
            assert (await world.get("auditor", f"/members/{member_id}/{what}")).status_code == 404


class TestBalanceInOneStatement:
    """The endpoint's single statement says what the ledger's own reading says."""

    async def both(self, ledger: LedgerWorld, member: int) -> None:
        async with snapshot(ledger.engine) as session:
            assert await find_balance(session, ledger.members[member]) == await ledger.balance(member)

    async def test_in_every_situation(self, engine: AsyncEngine) -> None:
        ledger = await make_world(engine, member_count=3, return_policy="debt")
        await self.both(ledger, 0)
        early = await ledger.credit(100, life=timedelta(days=30))
        await ledger.credit(40, life=timedelta(days=30))
        await ledger.credit(7, life=timedelta(days=10))
        await ledger.credit(9)
        await ledger.credit(500, delay=timedelta(days=3), life=timedelta(days=1))
        await ledger.credit(11, member=1)
        await self.both(ledger, 0)
        await ledger.mine(early)
        await self.both(ledger, 0)
        await ledger.hold(60)
        await self.both(ledger, 0)
        await ledger.reverse(early, 100)
        for member in range(3):
            await self.both(ledger, member)
        assert (await ledger.balance(0)).debt > 0

    async def test_nobody_has_no_balance(self, engine: AsyncEngine) -> None:
        ledger = await make_world(engine)
        async with snapshot(ledger.engine) as session:
            assert await find_balance(session, "mem_none") is None


class TestEntries:
    async def test_a_statement_is_the_members_own_newest_first(self, world: ApiWorld) -> None:
        for _ in range(4):
            await world.made("partner_a", "/sales", world.a_sale())
            await world.made("partner_b", "/sales", world.a_sale(member={"id": world.ids["member_b"]}))
        path, seen, cursor = f"/members/{world.ids['member_a']}/entries", [], {}
        while True:
            page = (await world.get("member_a", path, limit=2, **cursor)).json()
            seen += page["data"]
            if not page["has_more"]:
                break
            cursor = {"cursor": page["next_cursor"]}
            # What comes meanwhile stands before the first page and shifts nothing.
            await world.made("partner_a", "/sales", world.a_sale())
        assert [entry["tokens"] for entry in seen] == [12] * 4 + [120]
        assert {entry["member_id"] for entry in seen} == {world.ids["member_a"]}
        assert len({entry["id"] for entry in seen}) == 5

    async def test_an_entry_tells_its_way_to_the_chain(self, world: ApiWorld) -> None:
        path = f"/members/{world.ids['member_a']}/entries"
        (entry,) = (await world.get("member_a", path)).json()["data"]
        assert (entry["status"], entry["batch_id"], entry["block_number"]) == ("accepted", None, None)
        assert (entry["kind"], entry["source_id"], entry["reason_code"]) == ("issue", world.ids["sale"], "sale")
        await world.mine_everything()
        (entry,) = (await world.get("member_a", path)).json()["data"]
        assert (entry["status"], entry["batch_id"]) == ("final", world.ids["batch"])
        assert entry["transaction_hash"].startswith("0x")
        assert datetime.fromisoformat(entry["created_at"]) <= datetime.now(UTC)


class TestLots:
    async def test_they_say_what_became_of_each_credit(self, world: ApiWorld) -> None:
        await world.a_redemption()
        path = f"/members/{world.ids['member_a']}/lots"
        (lot,) = (await world.get("member_a", path)).json()["data"]
        assert (lot["state"], lot["tokens"], lot["remaining"], lot["held"]) == ("active", 120, 70, 50)
        assert (lot["partner_id"], lot["expires_at"]) == (world.ids["partner_a"], None)
        assert lot["entry_id"].startswith("ent_")

    async def test_pages_are_the_newest_first_and_complete(self, world: ApiWorld) -> None:
        for _ in range(3):
            await world.made("partner_a", "/sales", world.a_sale())
        path, seen, cursor = f"/members/{world.ids['member_a']}/lots", [], {}
        while True:
            page = (await world.get("operator", path, limit=2, **cursor)).json()
            seen += [lot["entry_id"] for lot in page["data"]]
            if not page["has_more"]:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len(seen) == 4
        assert seen == sorted(seen, reverse=True)

    async def test_those_of_others_do_not_exist(self, world: ApiWorld) -> None:
        assert (await world.get("member_b", f"/members/{world.ids['member_a']}/lots")).status_code == 404
        assert (await world.get("member_b", f"/members/{world.ids['member_b']}/lots")).json()["data"] == []
