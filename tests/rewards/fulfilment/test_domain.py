"""What holds a delivery up, what a file may be, and how a pick list reads."""

import base64
import csv
from io import StringIO
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.goods import HOME
from mereau.core.errors import InvalidInputError
from mereau.core.spreadsheets import csv_bytes
from mereau.rewards.fulfilment.domain import (
    FILE_BYTES_MAX,
    FileDraft,
    MediaType,
    OrderDraft,
    Piece,
    Standing,
    Step,
    decode_file,
    hindrance,
    marking_findings,
)
from mereau.rewards.fulfilment.picking.domain import Language, Pick, cells, header, pick_key, sections, shelf_totals

STATES = ("ordered", "prepared", "shipped", "delivered", "returned", "cancelled")
STEPS: tuple[Step, ...] = ("prepared", "shipped", "delivered", "returned")
ALLOWED = {
    ("ordered", "prepared"),
    ("prepared", "shipped"),
    ("shipped", "delivered"),
    ("shipped", "returned"),
    ("delivered", "returned"),
}


def test_a_delivery_goes_one_way() -> None:
    free = {
        (state, step)
        for state, step in product(STATES, STEPS)
        if hindrance(Standing(state, True, "none"), step) is None
    }
    assert free == ALLOWED


@pytest.mark.parametrize(("state", "step"), [("ordered", "prepared"), ("prepared", "shipped")])
def test_nothing_starts_before_the_tokens_are_burned(state: str, step: Step) -> None:
    """M2: the reward is not given while the burn may still fail."""
    held_up = hindrance(Standing(state, False, "none"), step)
    assert held_up is not None
    assert held_up[0] == "not_cleared"


@pytest.mark.parametrize("proof", ["awaited", "submitted", "refused"])
def test_nothing_marked_leaves_without_an_approved_proof(proof: str) -> None:
    held_up = hindrance(Standing("prepared", True, proof), "shipped")
    assert held_up is not None
    assert held_up[0] == "proof_not_approved"
    assert hindrance(Standing("ordered", True, proof), "prepared") is None
    assert hindrance(Standing("prepared", True, "approved"), "shipped") is None


PNG = FileDraft("image/png", b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    ("allowed", "text", "logo", "pointers"),
    [
        ("none", None, None, []),
        ("text", "Ada", None, []),
        ("logo", None, PNG, []),
        ("none", "Ada", PNG, ["/personalisation/text", "/personalisation/logo"]),
        ("text", "Ada", PNG, ["/personalisation/logo"]),
        ("logo", "Ada", None, ["/personalisation/text"]),
    ],
)
def test_a_reward_takes_one_kind_of_marking(
    allowed: str, text: str | None, logo: FileDraft | None, pointers: list[str]
) -> None:
    draft = OrderDraft("rwd_1", ("A",), HOME, marking_text=text, logo=logo)
    assert [error.pointer for error in marking_findings(draft, allowed)] == pointers


@pytest.mark.parametrize(
    ("media_type", "content"),
    [("application/pdf", b"%PDF-1.7"), ("image/png", b"\x89PNG\r\n\x1a\n."), ("image/jpeg", b"\xff\xd8\xff\xe0")],
)
def test_a_file_is_what_it_says(media_type: MediaType, content: bytes) -> None:
    assert decode_file(media_type, base64.b64encode(content).decode(), "/f") == FileDraft(media_type, content)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("JVBERi0", "base64"),
        ("%%%%", "base64"),
        (base64.b64encode(b"<svg onload=alert(1)>").decode(), "media_type"),
        (base64.b64encode(b"%PDF-" + bytes(FILE_BYTES_MAX)).decode(), "too_large"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        decode_file("application/pdf", text, "/content_base64")
    assert [(error.pointer, error.code) for error in refusal.value.errors] == [("/content_base64", code)]


def a_pick(sku: str = "TEE-M", size: str | None = "M", colour: str | None = None, **changes: object) -> Pick:
    fields = {"delivery_id": "dlv_1", "pieces": 1, "goods": "TEE", "marking_text": None} | changes
    piece = Piece(
        1, "var_1", "gds_1", str(fields["goods"]), "Un tee", "A tee", sku, size, colour, int(fields["pieces"])
    )
    text = fields["marking_text"]
    return Pick(str(fields["delivery_id"]), "ordered", piece, HOME, None if text is None else str(text), False)


def test_picks_stand_in_the_order_of_the_shelves() -> None:
    picks = [
        a_pick("CAP", None, goods="CAP"),
        a_pick("T-S-BLUE", "S", "blue"),
        a_pick("T-S-RED", "S", "red"),
        a_pick("T-M", "M"),
        a_pick("T-XL", "XL"),
        a_pick("T-2XL", "2XL"),
    ]
    shuffled = picks[3:] + picks[:3]
    assert sorted(shuffled, key=pick_key) == picks


@given(st.lists(st.tuples(st.sampled_from(["XS", "S", "M", "L", "XL"]), st.sampled_from(["blue", "red"])), max_size=20))
def test_sizes_never_go_back_within_goods(wanted: list[tuple[str, str]]) -> None:
    picks = sorted((a_pick(f"T-{size}-{colour}", size, colour) for size, colour in wanted), key=pick_key)
    ladder = ["XS", "S", "M", "L", "XL"]
    places = [(ladder.index(pick.piece.size or ""), pick.piece.colour) for pick in picks]
    assert places == sorted(places)


def test_the_shelves_are_visited_once() -> None:
    picks = [a_pick("T-M", pieces=2), a_pick("T-M", pieces=3, delivery_id="dlv_2"), a_pick("T-L", "L")]
    assert list(shelf_totals(picks, "fr")) == [
        ("TEE", "Un tee", "T-M", "M", None, 5),
        ("TEE", "Un tee", "T-L", "L", None, 1),
    ]


def test_paper_carries_no_address() -> None:
    printed = str(list(sections([a_pick(marking_text="Ada")], "en")))
    assert "Lilas" not in printed
    assert "Ada" in printed
    assert "To take from the shelves" in printed


@pytest.mark.parametrize(("language", "delimiter"), [("fr", ";"), ("en", ",")])
def test_a_spreadsheet_opens_it(language: Language, delimiter: str) -> None:
    picks = [a_pick(marking_text='L\'été; "déjà", oui')]
    content = csv_bytes(header(language), [cells(pick, language) for pick in picks], language)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter))
    assert [len(row) for row in rows] == [len(header(language))] * 2
    assert rows[1][6] == 'L\'été; "déjà", oui'
