"""Sales, batches, returns and rules over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import RULE, ApiWorld, open_world

UNKNOWN = "01K9Q2M4T6V8X0Z2B4D6F8H0J2"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


def a_return(**changes: Any) -> dict[str, Any]:
    return {
        "external_id": "T-1", "occurred_at": "2026-01-06T10:00:00Z", "lines": [{"line_number": 1, "quantity": 1}],
    } | changes  # fmt: skip


class TestRecordSale:
    async def test_the_answer_tells_tokens_entry_and_balance(self, world: ApiWorld) -> None:
        response = await world.post("partner_a", "/sales", world.a_sale())
        sale = response.json()
        assert response.status_code == 201
        assert (sale["tokens"], sale["eligible"]) == (12, {"amount_minor": 1_200, "currency": "EUR"})
        assert (sale["entry"]["status"], sale["entry"]["tokens"]) == ("accepted", 12)
        assert sale["balance"]["available"] == 132
        assert (sale["partner_id"], sale["duplicate"]) == (world.ids["partner_a"], False)

    async def test_members_go_by_either_name(self, world: ApiWorld) -> None:
        by_card = await world.made("partner_a", "/sales", world.a_sale(member={"external_id": "card-b"}))
        assert by_card["member_id"] == world.ids["member_b"]
        for wrong in ({}, {"id": world.ids["member_a"], "external_id": "card-a"}):
            response = await world.post("partner_a", "/sales", world.a_sale(member=wrong))
            assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/member")

    async def test_a_sale_to_nobody_known_earns_nothing(self, world: ApiWorld) -> None:
        sale = world.a_sale()
        del sale["member"]
        done = await world.made("partner_a", "/sales", sale)
        assert (done["tokens"], done["entry"], done["balance"], done["member_id"]) == (0, None, None, None)

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"member": {"external_id": "nobody"}}, "/member"),
            ({"member": {"id": f"mem_{UNKNOWN}"}}, "/member"),
            ({"location_id": f"loc_{UNKNOWN}"}, "/location_id"),
            ({"staff_id": f"stf_{UNKNOWN}"}, "/staff_id"),
            ({"partner_id": f"par_{UNKNOWN}"}, "/partner_id"),
            ({"currency": "USD"}, "/currency"),
            ({"occurred_at": (datetime.now(UTC) + timedelta(days=2)).isoformat()}, "/occurred_at"),
        ],
    )
    async def test_what_it_names_must_exist(self, world: ApiWorld, change: dict[str, Any], pointer: str) -> None:
        before = await world.fingerprint()
        response = await world.post("partner_a", "/sales", world.a_sale(**change))
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)
        assert await world.fingerprint() == before

    async def test_a_partner_cannot_use_anothers_places_or_name(self, world: ApiWorld) -> None:
        for field, name in (("location_id", "location"), ("staff_id", "staff"), ("partner_id", "partner_a")):
            response = await world.post("partner_b", "/sales", world.a_sale(**{field: world.ids[name]}))
            assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, f"/{field}")

    async def test_own_places_are_taken(self, world: ApiWorld) -> None:
        places = {"location_id": world.ids["location"], "staff_id": world.ids["staff"]}
        sale = await world.made("partner_a", "/sales", world.a_sale(**places))
        shown = (await world.get("partner_a", f"/sales/{sale['id']}")).json()
        assert {name: shown[name] for name in places} == places

    async def test_staff_sign_with_themselves_alone(self, world: ApiWorld) -> None:
        own = await world.post("staff", "/sales", world.a_sale(staff_id=world.ids["staff"]))
        other = await world.post("staff", "/sales", world.a_sale(staff_id=f"stf_{UNKNOWN}"))
        assert (own.status_code, other.status_code) == (201, 422)
        assert other.json()["errors"][0]["code"] == "not_yours"

    async def test_an_operator_names_the_partner(self, world: ApiWorld) -> None:
        nameless = await world.post("operator", "/sales", world.a_sale())
        unknown = await world.post("operator", "/sales", world.a_sale(partner_id=f"par_{UNKNOWN}"))
        assert [answer.json()["errors"][0]["code"] for answer in (nameless, unknown)] == ["missing", "unknown"]

    @pytest.mark.parametrize(
        "line",
        [
            {"sku": "x"},
            {"sku": "x", "amount_minor": 1, "unit_price_minor": 1},
            {"sku": "x", "amount_minor": 100, "discount_minor": 101},
            {"sku": "x", "amount_minor": 100, "tax_minor": 101},
            {"sku": "x", "quantity": 10**6, "unit_price_minor": 10**11},
            {"sku": "x", "quantity": 0, "amount_minor": 1},
        ],
    )
    async def test_lines_must_add_up(self, world: ApiWorld, line: dict[str, Any]) -> None:
        assert (await world.post("partner_a", "/sales", world.a_sale(lines=[line]))).status_code == 422

    async def test_a_blocked_member_earns_nowhere(self, world: ApiWorld) -> None:
        await world.hand.write("update members set status = 'blocked' where id = :id", id=world.ids["member_a"])
        assert (await world.post("partner_a", "/sales", world.a_sale())).status_code == 422

    async def test_without_a_rule_nothing_is_recorded(self, world: ApiWorld) -> None:
        await world.hand.write("update earning_rules set status = 'inactive'")
        response = await world.post("partner_a", "/sales", world.a_sale())
        assert (response.status_code, response.json()["code"]) == (409, "no_active_rule")


class TestBatch:
    async def test_each_sale_has_an_outcome_of_its_own(self, world: ApiWorld) -> None:
        known = world.a_sale()
        await world.made("partner_a", "/sales", known)
        twin = world.a_sale()
        sales = [
            world.a_sale(), known, known | {"shipping_minor": 1}, world.a_sale(member={"external_id": "nobody"}),
            world.a_sale(currency="USD"), twin, twin, world.a_sale(lines=[{"sku": "pin", "amount_minor": 99}]),
        ]  # fmt: skip
        results = (await world.made("partner_a", "/sales/batch", {"sales": sales}))["results"]
        assert [item["status"] for item in results] == [201, 200, 409, 422, 422, 201, 200, 201]
        assert results[2]["problem"]["code"] == "recorded_otherwise"
        assert results[3]["problem"]["errors"][0]["pointer"] == "/member"
        assert results[5]["sale"]["id"] == results[6]["sale"]["id"]
        assert (results[7]["sale"]["tokens"], results[7]["sale"]["entry_id"]) == (0, None)
        balance = (await world.get("member_a", f"/members/{world.ids['member_a']}/balance")).json()
        assert balance["available"] == 120 + 3 * 12

    async def test_a_batch_of_refusals_records_nothing(self, world: ApiWorld) -> None:
        sales = [world.a_sale(member={"external_id": "nobody"})]
        results = (await world.made("partner_a", "/sales/batch", {"sales": sales}))["results"]
        assert [(item["status"], item["sale"]) for item in results] == [(422, None)]

    async def test_the_number_of_sales_is_bounded(self, world: ApiWorld) -> None:
        sale = world.a_sale(lines=[{"sku": "a", "amount_minor": 1}])
        for sales, status in (([], 422), ([sale] * 501, 422), ([sale] * 500, 200)):
            response = await world.post("partner_a", "/sales/batch", {"sales": sales})
            assert response.status_code == status
        assert {item["status"] for item in response.json()["results"]} == {200, 201}


class TestGetSale:
    async def test_it_shows_lines_and_returns(self, world: ApiWorld) -> None:
        sale = await world.made("partner_a", "/sales", world.a_sale())
        await world.made("partner_a", f"/sales/{sale['id']}/returns", a_return())
        shown = (await world.get("member_a", f"/sales/{sale['id']}")).json()
        (line,) = shown["lines"]
        assert (line["quantity"], line["tokens"], line["returned_quantity"], line["reversed_tokens"]) == (3, 12, 1, 4)
        (back,) = shown["returns"]
        assert (back["external_id"], back["tokens_reversed"], back["lines"][0]["tokens"]) == ("T-1", 4, 4)

    async def test_foreign_and_unknown_sales_are_one_answer(self, world: ApiWorld) -> None:
        for sale_id in (world.ids["sale"], f"sal_{UNKNOWN}", "sal_1", "x"):
            response = await world.get("partner_b", f"/sales/{sale_id}")
            assert (response.status_code, response.json()["detail"]) == (404, "There is no such sale.")


class TestReturns:
    async def test_tokens_go_back_with_the_goods(self, world: ApiWorld) -> None:
        sale = await world.made("partner_a", "/sales", world.a_sale())
        path = f"/sales/{sale['id']}/returns"
        first = await world.post("partner_a", path, a_return())
        again = await world.post("partner_a", path, a_return())
        assert (first.status_code, again.status_code) == (201, 200)
        done = first.json()
        assert (done["tokens_due"], done["tokens_reversed"], done["balance"]["available"]) == (4, 4, 128)
        assert (done["entry"]["status"], again.json()["duplicate"]) == ("accepted", True)

    async def test_no_more_comes_back_than_was_sold(self, world: ApiWorld) -> None:
        sale = await world.made("partner_a", "/sales", world.a_sale())
        body = a_return(lines=[{"line_number": 1, "quantity": 4}])
        response = await world.post("partner_a", f"/sales/{sale['id']}/returns", body)
        assert (response.status_code, response.json()["code"]) == (409, "over_return")

    async def test_an_unknown_line_is_refused(self, world: ApiWorld) -> None:
        body = a_return(lines=[{"line_number": 9, "quantity": 1}])
        response = await world.post("partner_a", f"/sales/{world.ids['sale']}/returns", body)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_sale")

    @pytest.mark.parametrize(("who", "staff_id", "status"), [
        ("partner_a", "own", 201), ("partner_a", f"stf_{UNKNOWN}", 422), ("operator", "own", 201),
        ("staff", None, 201), ("staff", "own", 201), ("staff", f"stf_{UNKNOWN}", 422),
    ])  # fmt: skip
    async def test_staff_must_be_the_partners(
        self, world: ApiWorld, who: str, staff_id: str | None, status: int
    ) -> None:
        named = world.ids["staff"] if staff_id == "own" else staff_id
        response = await world.post(who, f"/sales/{world.ids['sale']}/returns", a_return(staff_id=named))
        assert response.status_code == status

    @pytest.mark.parametrize("sale_id", [f"sal_{UNKNOWN}", "sal_1"])
    async def test_an_unknown_sale_is_not_found(self, world: ApiWorld, sale_id: str) -> None:
        assert (await world.post("operator", f"/sales/{sale_id}/returns", a_return())).status_code == 404


class TestRules:
    async def test_a_new_version_values_later_sales(self, world: ApiWorld) -> None:
        rule = await world.made("operator", "/earning-rules", RULE | {"rate": {"tokens": 2, "per_minor": 100}})
        assert (rule["version"], rule["status"], rule["spec"]["rate"]) == (2, "draft", {"tokens": 2, "per_minor": 100})
        assert (await world.made("partner_a", "/sales", world.a_sale()))["tokens"] == 12
        for _ in range(2):
            active = await world.post("operator", f"/earning-rules/{rule['id']}/activate")
            assert (active.status_code, active.json()["status"]) == (200, "active")
        sale = await world.made("partner_a", "/sales", world.a_sale())
        assert (sale["tokens"], sale["rule"]) == (24, f"{rule['id']}@2")

    async def test_exclusions_and_minimum_are_kept(self, world: ApiWorld) -> None:
        body = RULE | {"excluded_skus": ["gift"], "excluded_categories": ["tobacco"], "minimum_minor": 500}
        rule = await world.made("operator", "/earning-rules", body)
        assert {name: rule["spec"][name] for name in body if name != "external_id"} == {
            name: value for name, value in body.items() if name != "external_id"
        }

    async def test_lists_are_pages(self, world: ApiWorld) -> None:
        made = [await world.made("operator", "/earning-rules", RULE) for _ in range(4)]
        seen, cursor = [], {}
        while True:
            page = (await world.get("partner_a", "/earning-rules", limit=2, **cursor)).json()
            seen += [rule["id"] for rule in page["data"]]
            if not page["has_more"]:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == sorted([world.ids["rule"], *(rule["id"] for rule in made)], reverse=True)

    @pytest.mark.parametrize("rule_id", [f"rul_{UNKNOWN}", "rul_1"])
    async def test_an_unknown_rule_is_not_found(self, world: ApiWorld, rule_id: str) -> None:
        assert (await world.post("operator", f"/earning-rules/{rule_id}/activate")).status_code == 404


class TestSeveralRules:
    async def test_answers_name_every_award(self, world: ApiWorld) -> None:
        for external_id, award in (("visit", {"fixed": {"tokens": 5}}), ("double", {"multiplier": {"percent": 200}})):
            rule = await world.made("operator", "/earning-rules", award | {"external_id": external_id})
            await world.made("operator", f"/earning-rules/{rule['id']}/activate", None)
        body = world.a_sale()
        sale = await world.made("partner_a", "/sales", body)
        assert [award["tokens"] for award in sale["awards"]] == [12, 5, 17]
        assert (sale["tokens"], sale["balance"]["available"]) == (34, 154)
        assert (sale["rule"], sale["entry"]["id"]) == (sale["awards"][0]["rule"], sale["awards"][0]["entry_id"])
        again = await world.post("partner_a", "/sales", body)
        assert (again.status_code, again.json()["awards"]) == (200, sale["awards"])
        shown = (await world.get("member_a", f"/sales/{sale['id']}")).json()
        assert (shown["awards"], shown["tokens"]) == (sale["awards"], 34)
        batch = await world.made("partner_a", "/sales/batch", {"sales": [body, world.a_sale()]})
        assert [len(result["sale"]["awards"]) for result in batch["results"]] == [3, 3]
        assert batch["results"][0]["sale"]["awards"] == sale["awards"]

    async def test_a_sale_that_earned_nothing_has_no_award(self, world: ApiWorld) -> None:
        sale = await world.made("partner_a", "/sales", world.a_sale(lines=[{"sku": "pin", "amount_minor": 1}]))
        assert (sale["awards"], sale["tokens"], sale["entry"]) == ([], 0, None)

    async def test_a_return_tells_what_went_back_over_all_rules(self, world: ApiWorld) -> None:
        rule = await world.made("operator", "/earning-rules", {"external_id": "visit", "fixed": {"tokens": 5}})
        await world.made("operator", f"/earning-rules/{rule['id']}/activate", None)
        sale = await world.made(
            "partner_a", "/sales", world.a_sale(lines=[{"sku": "cup", "quantity": 2, "amount_minor": 1_000}])
        )
        half = await world.made("partner_a", f"/sales/{sale['id']}/returns", a_return())
        rest = await world.made("partner_a", f"/sales/{sale['id']}/returns", a_return(external_id="T-2"))
        assert (half["tokens_due"], rest["tokens_due"]) == (7, 8)
        assert rest["balance"]["available"] == 120
