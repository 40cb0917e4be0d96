"""A spreadsheet opens what we write, and runs none of it."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.spreadsheets import Language, csv_bytes

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def read_back(content: bytes, delimiter: str) -> list[list[str]]:
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter))


@pytest.mark.parametrize(("language", "delimiter"), [("fr", ";"), ("en", ",")])
def test_each_language_has_its_delimiter(language: Language, delimiter: str) -> None:
    content = csv_bytes(["a", "b"], [['L\'été; "déjà", oui\nlà', 5], [None, -5]], language)
    assert read_back(content, delimiter) == [["a", "b"], ['L\'été; "déjà", oui\nlà', "5"], ["", "-5"]]


@given(st.sampled_from("=+-@\t\r\n"), TEXTS)
def test_no_cell_runs_as_a_formula(start: str, rest: str) -> None:
    (_, (cell, _)) = read_back(csv_bytes(["a", "b"], [[start + rest, 1]], "fr"), ";")
    assert cell == f"'{start}{rest}"


@given(TEXTS)
def test_other_cells_stay_as_they_are(text: str) -> None:
    if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return
    (_, (cell, _)) = read_back(csv_bytes(["a", "b"], [[text, 1]], "en"), ",")
    assert cell == text
