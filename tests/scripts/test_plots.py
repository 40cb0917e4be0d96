"""The performance page says what was measured: its tables and plots are those of the recorded results."""

import json
import shutil
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import plot_main
import pytest
from bench_record import load, record
from hypothesis import given, settings
from hypothesis import strategies as st
from plot_book import BOOK, Limit
from plot_svg import Bar, Panel, draw, number

DOCS = Path(__file__).parents[2] / "docs"
SVG = "{http://www.w3.org/2000/svg}"
MACHINE = {
    "cpu": "Abacus", "cores": 2, "memory_mib": 24_000, "system": "Linux 6", "python": "3.11", "fsync_ms": 2.0,
    "load": 0.1, "loop_s": 0.1,
}  # fmt: skip
BARS_OF_THE_PROMISES = [
    ("accept", "single_rps", 399, 400),
    ("accept", "single_p99_ms", 201, 200),
    ("accept", "batch_sales_per_s", 3_999, 4_000),
    ("read", "rps", 1_299, 1_300),
    ("read", "p99_ms", 81, 80),
    ("relay", "credits_per_s", 3_999, 4_000),
    ("mirror", "events_per_s_200", 24_999, 25_000),
    ("mirror", "events_per_s_10", 2_999, 3_000),
    ("scale", "read_p99_ms_10m", 16, 15),
    ("import", "first_s", 151, 150),
    ("startup", "again_s", 9, 8),
]


def every_figure(value: float = 10) -> dict[str, float]:
    """A figure for each row of the book."""
    return {row.figure: value for sheet in BOOK for row in sheet.rows}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A page with its places, and results of every measurement."""
    shutil.copy(DOCS / "performance.md", tmp_path)
    for sheet in BOOK:
        record(sheet.bench, every_figure(), MACHINE, tmp_path / "plots" / "results.json")
    return tmp_path


def run(docs: Path, *arguments: str) -> None:
    plot_main.main(["--docs", str(docs), *arguments])


def page(docs: Path) -> str:
    return (docs / "performance.md").read_text()


def test_what_is_committed_is_what_was_recorded() -> None:
    run(DOCS, "--check")


def test_each_measurement_gets_a_table_and_a_plot(docs: Path) -> None:
    run(docs)
    assert {path.stem for path in (docs / "plots").glob("*.svg")} == {sheet.bench for sheet in BOOK}
    for sheet in BOOK:
        assert f"(plots/{sheet.bench}.svg)" in page(docs)
    assert "Abacus, 2 cores, 23 GiB" in page(docs)
    run(docs, "--check")


def test_drawing_twice_changes_nothing(docs: Path) -> None:
    run(docs)
    before = {path: path.stat().st_mtime_ns for path in docs.rglob("*.*")}
    run(docs)
    assert {path: path.stat().st_mtime_ns for path in docs.rglob("*.*")} == before


def test_new_results_make_the_page_stale(docs: Path) -> None:
    run(docs)
    record("read", every_figure(11), MACHINE, docs / "plots" / "results.json")
    with pytest.raises(SystemExit, match="out of date") as refusal:
        run(docs, "--check")
    assert "read.svg" in str(refusal.value)
    assert "accept.svg" not in str(refusal.value)
    run(docs)
    run(docs, "--check")


def test_a_figure_written_by_hand_is_noticed(docs: Path) -> None:
    run(docs)
    (docs / "performance.md").write_text(page(docs).replace("| 10 |", "| 99 |", 1))
    with pytest.raises(SystemExit, match=r"performance\.md"):
        run(docs, "--check")


def test_prose_is_left_alone(docs: Path) -> None:
    (docs / "performance.md").write_text(page(docs) + "\nOne more sentence.\n")
    run(docs)
    assert page(docs).endswith("\nOne more sentence.\n")


def test_a_plot_of_nothing_is_noticed_and_goes(docs: Path) -> None:
    run(docs)
    orphan = docs / "plots" / "speed.svg"
    orphan.write_text("<svg/>")
    with pytest.raises(SystemExit, match=r"speed\.svg"):
        run(docs, "--check")
    run(docs)
    assert not orphan.exists()


def test_what_was_not_measured_is_said(docs: Path) -> None:
    results = load(docs / "plots" / "results.json")
    del results["relay"]
    (docs / "plots" / "results.json").write_text(json.dumps(results))
    run(docs)
    assert "<!-- bench relay -->\nNot measured yet.\n<!-- end -->" in page(docs)
    assert not (docs / "plots" / "relay.svg").exists()


def test_a_result_without_a_figure_of_the_page_is_refused(docs: Path) -> None:
    figures = every_figure()
    del figures["rps"]
    record("read", figures, MACHINE, docs / "plots" / "results.json")
    with pytest.raises(KeyError, match="rps"):
        run(docs)


@pytest.mark.parametrize(
    ("place", "instead"), [("<!-- bench gas -->", ""), ("<!-- bench gas -->", "<!-- bench speed -->")]
)
def test_a_page_without_a_place_is_refused(docs: Path, place: str, instead: str) -> None:
    (docs / "performance.md").write_text(page(docs).replace(place, instead))
    with pytest.raises(ValueError, match="places"):
        run(docs)


@pytest.mark.parametrize(("bench", "figure", "missing", "reaching"), BARS_OF_THE_PROMISES)
def test_a_missed_bar_is_said(docs: Path, bench: str, figure: str, missing: float, reaching: float) -> None:
    row = next(row for sheet in BOOK if sheet.bench == bench for row in sheet.rows if row.figure == figure)
    results = docs / "plots" / "results.json"
    for value, is_missed in ((missing, True), (reaching, False)):
        record(bench, every_figure() | {figure: value}, MACHINE, results)
        run(docs)
        line = next(line for line in page(docs).splitlines() if f" {row.text} | {number(value)} |" in line)
        assert ("**missed**" in line) is is_missed


def test_a_yardstick_misses_nothing(docs: Path) -> None:
    run(docs)
    lines = [line for line in page(docs).splitlines() if "| yardstick |" in line]
    assert len(lines) == sum(row.is_yardstick for sheet in BOOK for row in sheet.rows)
    assert not any("missed" in line for line in lines)


def test_a_spread_stands_beside_its_figure(docs: Path) -> None:
    record("read", every_figure() | {"rps_spread": 3.5}, MACHINE, docs / "plots" / "results.json")
    run(docs)
    assert "GET balance | 10 | 3.50 |" in page(docs)
    assert "a bare route, one SELECT | 10 |  |" in page(docs)


@pytest.mark.parametrize(
    ("limit", "value", "holds"),
    [
        (Limit(100), 100, True),
        (Limit(100), 99.9, False),
        (Limit(100, at_most=True), 100, True),
        (Limit(100, at_most=True), 100.1, False),
        (Limit(1.5, at_most=True, of="small"), 30, True),
        (Limit(1.5, at_most=True, of="small"), 30.1, False),
        (Limit(25, of="small"), 499, False),
    ],
)
def test_a_limit_is_a_value_or_a_multiple(limit: Limit, value: float, holds: bool) -> None:
    assert limit.holds(value, {"small": 20}) is holds


@pytest.mark.parametrize(
    ("value", "text"),
    [(7677.2, "7,677"), (100, "100"), (99.94, "99.9"), (10.04, "10.0"), (7.449, "7.45"), (3.0, "3"), (0, "0")],
)
def test_figures_are_for_people(value: float, text: str) -> None:
    assert number(value) == text


def drawn(*panels: Panel, title: str = "Reads") -> ET.Element:
    return ET.fromstring(draw(title, panels))


def of_kind(svg: ET.Element, kind: str) -> list[dict[str, Any]]:
    return [element.attrib for element in svg.iter() if element.get("class") == kind]


def test_a_plot_is_told_in_words() -> None:
    svg = drawn(Panel("A second", [Bar("ours", 1_500, limit=1_300, note="≥ 1,300"), Bar("bare", 1_800)]))
    assert svg.get("role") == "img"
    named = {element.get("id"): element.text for element in svg if element.get("id")}
    assert str(svg.get("aria-labelledby")).split() == list(named)
    assert named == {"title": "Reads", "description": "A second: ours 1,500 ≥ 1,300; bare 1,800."}


def test_bars_are_as_long_as_their_figures() -> None:
    svg = drawn(Panel("A", [Bar("one", 50), Bar("two", 100, is_yardstick=True)]), Panel("B", [Bar("three", 3)]))
    one, three = of_kind(svg, "figure")
    (two,) = of_kind(svg, "yardstick")
    assert float(two["width"]) == pytest.approx(2 * float(one["width"]), abs=0.2)
    # A panel of its own has a scale of its own.
    assert three["width"] == two["width"]


def test_a_limit_stands_where_its_figure_would() -> None:
    svg = drawn(Panel("A", [Bar("ours", 60, limit=100), Bar("bare", 100)]))
    (tick,) = of_kind(svg, "limit")
    bare = of_kind(svg, "figure")[1]
    assert float(tick["x1"]) == pytest.approx(float(bare["x"]) + float(bare["width"]), abs=0.2)


def test_a_spread_is_centred_on_the_end_of_its_bar() -> None:
    svg = drawn(Panel("A", [Bar("ours", 100, spread=20), Bar("still", 100)]))
    (line,) = of_kind(svg, "spread")
    bar = of_kind(svg, "figure")[0]
    length = float(line["x2"]) - float(line["x1"])
    assert (float(line["x1"]) + float(line["x2"])) / 2 == pytest.approx(float(bar["x"]) + float(bar["width"]), abs=0.2)
    assert length == pytest.approx(0.2 * float(bar["width"]), abs=0.2)


def test_a_plot_suits_light_and_dark_pages() -> None:
    style = drawn(Panel("A", [Bar("ours", 1)])).findtext(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in style
    for kind in ("page", "figure", "yardstick", "limit", "spread", "quiet"):
        assert style.count(f".{kind} ") == 2


def test_markup_in_words_stays_words() -> None:
    svg = drawn(Panel("<b>&", [Bar('"<script>', 1)]), title="a < b & c")
    assert svg.findtext(f"{SVG}title") == "a < b & c"
    assert svg.findtext(f"{SVG}desc") == '<b>&: "<script> 1.'


FIGURES = st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9), st.none() | st.floats(0, 1e9)), min_size=1)


@settings(max_examples=30)
@given(FIGURES)
def test_whatever_is_measured_stays_on_the_page(figures: list[tuple[float, float, float | None]]) -> None:
    bars = [Bar("any", value, spread=spread, limit=limit) for value, spread, limit in figures]
    svg = drawn(Panel("Any", bars))
    _, _, width, height = map(float, str(svg.get("viewBox")).split())
    for element in svg.iter():
        for side, edge in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y2", height)):
            assert 0 <= float(element.get(side, 0)) <= edge
        assert float(element.get("x", 0)) + float(element.get("width", 0)) <= width
    lengths = [float(bar["width"]) for bar in of_kind(svg, "figure")]
    ordered = sorted(zip([bar.value for bar in bars], lengths, strict=True))
    assert all(shorter <= longer for (_, shorter), (_, longer) in pairwise(ordered))


def test_a_record_replaces_its_own_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "plots" / "results.json"
    assert load(path) == {}
    record("read", {"rps": 1}, MACHINE, path)
    record("gas", {"issue": 2}, MACHINE, path)
    record("read", {"rps": 3}, MACHINE, path)
    results = load(path)
    assert {name: result["figures"] for name, result in results.items()} == {"read": {"rps": 3}, "gas": {"issue": 2}}
    assert results["read"]["machine"] == MACHINE
    assert list(results) == sorted(results)
