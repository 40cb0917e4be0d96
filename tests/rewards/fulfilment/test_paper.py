"""What a workshop prints and opens: the same order everywhere, nothing that runs, and nobody's address on paper."""

import csv
import re
from collections import Counter
from html import unescape
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.goods import an_order, cleared, some_goods
from api.world import ApiWorld
from factories.goods import HOME
from mereau.core.spreadsheets import csv_bytes
from mereau.rewards.fulfilment.domain import Address, Piece
from mereau.rewards.fulfilment.picking.domain import Language, Pick, cells, header, pick_key, sections, shelf_totals

HOSTILE = ("=1+1", "+33 6 12", "-2", "@SUM(A1)", "=cmd|' /C calc'!A0")
LADDER = ["XS", "S", "M", "L", "XL", "2XL", "36", "TU"]


def a_pick(
    sku: str = "TEE-M", delivery_id: str = "dlv_1", pieces: int = 1, address: Address | None = HOME, **changes: Any
) -> Pick:
    fields = {"goods_external_id": "TEE", "name_fr": "Un tee", "name_en": "A tee", "size": "M", "colour": None}
    marking = changes.pop("marking_text", None)
    piece = Piece(1, f"var_{sku}", "gds_1", sku=sku, pieces=pieces, **fields | changes)
    return Pick(delivery_id, "ordered", piece, address, marking, has_logo=False)


def read_csv(content: bytes, language: Language) -> list[list[str]]:
    text = content.decode("utf-8-sig")
    return list(csv.reader(StringIO(text, newline=""), delimiter=";" if language == "fr" else ","))


PICKS = st.lists(
    st.builds(
        lambda size, colour, parcel, pieces: a_pick(
            f"T-{size}-{colour}", f"dlv_{parcel}", pieces, size=size, colour=colour
        ),
        st.sampled_from(LADDER),
        st.sampled_from(["blue", "red", None]),
        st.integers(1, 4),
        st.integers(1, 9),
    ),
    max_size=15,
).map(lambda picks: sorted(picks, key=pick_key))


@given(PICKS)
def test_the_shelves_give_what_the_parcels_take(picks: list[Pick]) -> None:
    shelf, parcels = list(sections(picks, "en"))
    taken: Counter[str] = Counter()
    for pick in picks:
        taken[pick.piece.sku] += pick.piece.pieces
    assert {str(line[2]): line[5] for line in shelf[2]} == dict(taken)
    assert len(shelf[2]) == len(taken)
    assert sum(int(line[6] or 0) for line in parcels[2]) == taken.total()
    # One parcel after the other, and within each the order of the shelves.
    numbers = [line[0] for line in parcels[2]]
    assert numbers == sorted(numbers, key=str)
    for number in set(numbers):
        sizes = [LADDER.index(str(line[4])) for line in parcels[2] if line[0] == number]
        assert sizes == sorted(sizes)


@given(PICKS)
def test_every_line_fills_its_columns(picks: list[Pick]) -> None:
    for language in ("fr", "en"):
        for _, columns, lines in sections(picks, language):
            assert {len(line) for line in lines} <= {len(columns)}
        assert {len(cells(pick, language)) for pick in picks} <= {len(header(language))}


def test_each_language_names_the_same_columns() -> None:
    french, english = header("fr"), header("en")
    assert len(french) == len(english) == len(set(french)) == len(set(english))
    first = {language: next(iter(sections([a_pick()], language))) for language in ("fr", "en")}
    assert [first["fr"][2][0][1], first["en"][2][0][1]] == ["Un tee", "A tee"]
    (parcel_column, *_) = list(sections([a_pick()], "fr"))[1][1]
    assert parcel_column == "Colis"


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_cell_runs_in_a_spreadsheet(hostile: str, language: Language) -> None:
    """Whoever chose the text: the member for the address, the operator for the goods."""
    address = Address(hostile, hostile, hostile, hostile, "FR", line_2=hostile, phone=hostile)
    names = dict.fromkeys(("goods_external_id", "name_fr", "name_en", "size", "colour", "marking_text"), hostile)
    pick = a_pick(hostile, address=address, **names)
    (_, row) = read_csv(csv_bytes(header(language), [cells(pick, language)], language), language)
    assert [cell for cell in row if cell.startswith(("=", "+", "-", "@"))] == []
    assert row.count(f"'{hostile}") == 12


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20))
def test_whatever_is_written_comes_out_of_the_file_again(text: str) -> None:
    pick = a_pick(marking_text=text, address=None)
    for language in ("fr", "en"):
        (_, row) = read_csv(csv_bytes(header(language), [cells(pick, language)], language), language)
        assert row[6].removeprefix("'") == text.removeprefix("'")
        assert row[10:] == [""] * 7


def test_totals_are_none_where_nothing_is_picked() -> None:
    assert list(shelf_totals([], "fr")) == []
    assert [lines for _, _, lines in sections([], "fr")] == [[], []]


async def gift_of(world: ApiWorld, *sizes: str, **goods: Any) -> tuple[str, list[str]]:
    """A reward of one token for goods in these sizes; its id and their SKUs."""
    number = next(world.numbers)
    variants = [{"sku": f"P{number}-{size}", "size": size} for size in sizes]
    body = some_goods(world) | {"variants": variants} | goods
    made = await world.made("operator", "/goods", body)
    await world.made("operator", f"/goods/{made['id']}/status", {"status": "approved"})
    for variant in variants:
        received = {"sku": variant["sku"], "kind": "received", "pieces": 9, "reason": "order"}
        await world.made("partner_a", f"/goods/{made['id']}/movements", received)
    reward = {
        "external_id": f"gift-{number}", "partner_id": world.ids["partner_a"], "name_fr": "Un cadeau",
        "name_en": "A gift", "price_tokens": 1, "terms": {"kind": "gift", "goods": [body["external_id"]]},
    }  # fmt: skip
    made = await world.made("operator", "/rewards", reward)
    return made["id"], [variant["sku"] for variant in variants]


async def test_list_file_and_page_agree(stocked_world: ApiWorld) -> None:
    world = stocked_world
    reward_id, skus = await gift_of(world, "2XL", "S", "10", "XL", "M", "9", name_fr="<b>Tee</b> & Cie")
    for sku in skus:
        await world.made(
            "member_a",
            f"/members/{world.ids['member_a']}/deliveries",
            an_order(world, reward_id=reward_id, skus=[sku]),
        )
    await cleared(world)
    made = await world.made("partner_a", "/pick-lists", {"limit": 6})
    sizes = [pick["size"] for pick in made["picks"]]
    assert sizes == ["S", "M", "XL", "2XL", "9", "10"]
    path = f"/pick-lists/{made['id']}"
    for language, column in (("fr", "Taille"), ("en", "Size")):
        sheet = await world.get("partner_a", f"{path}/csv", lang=language)
        first, *rows = read_csv(sheet.content, language)  # type: ignore[arg-type] # one of both
        assert [row[first.index(column)] for row in rows] == sizes
        page = await world.get("partner_a", f"{path}/page", lang=language)
        assert f'<html lang="{language}">' in page.text
        shelf, parcels = re.findall(r"<tbody>(.*?)</tbody>", page.text)
        found = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", shelf)]
        assert [row[3] for row in found] == sizes
        name = "<b>Tee</b> & Cie" if language == "fr" else "A T-shirt"
        assert {unescape(row[1]) for row in found} == {name}
        assert "<b>" not in page.text
        assert "Lilas" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert parcels.count("<tr>") == 6


async def test_what_is_cancelled_or_taken_is_on_no_other_list(stocked_world: ApiWorld) -> None:
    world = stocked_world
    first, second = await cleared(world), await cleared(world)
    one = await world.made("staff", "/pick-lists", {"limit": 1})
    two = await world.made("staff", "/pick-lists", {"limit": 5})
    assert [[pick["delivery_id"] for pick in made["picks"]] for made in (one, two)] == [[first], [second]]
    empty = await world.post("staff", "/pick-lists", {"limit": 5})
    assert (empty.status_code, empty.json()["code"]) == (409, "conflict")
    await world.made("member_a", f"/deliveries/{second}/cancel", {"reason": "changed_mind"})
    assert (await world.get("staff", f"/pick-lists/{two['id']}")).json()["picks"] == []
    gone = await world.post("staff", "/deliveries/steps", {"step": "prepared", "pick_list_id": two["id"]})
    assert gone.status_code == 404
    for who in ("partner_b", "auditor", "member_a"):
        for tail in ("", "/csv", "/page"):
            answer = await world.get(who, f"/pick-lists/{one['id']}{tail}")
            assert answer.status_code == (404 if who == "partner_b" else 403)


async def test_a_list_is_somebodys(stocked_world: ApiWorld) -> None:
    world = stocked_world
    await cleared(world)
    wrong: list[tuple[str, dict[str, Any], int, str]] = [
        ("operator", {"limit": 1}, 422, "/partner_id"),
        ("partner_a", {"limit": 1, "partner_id": world.ids["partner_b"]}, 422, "/partner_id"),
        ("partner_a", {"limit": 0}, 422, "/limit"),
        ("partner_a", {"limit": 501}, 422, "/limit"),
        ("operator", {"limit": 1, "partner_id": "par_01K9Q2M4T6V8X0Z2B4D6F8H0J2"}, 404, ""),
        ("partner_b", {"limit": 1}, 409, ""),
    ]
    for who, body, status, pointer in wrong:
        response = await world.post(who, "/pick-lists", body)
        assert response.status_code == status, body
        assert [error["pointer"] for error in response.json()["errors"]] == ([pointer] if pointer else [])
    made = await world.made("operator", "/pick-lists", {"limit": 500, "partner_id": world.ids["partner_a"]})
    assert len(made["picks"]) == 1
