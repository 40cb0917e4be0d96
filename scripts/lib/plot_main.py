"""`scripts/plots [--check]`: brings docs/performance.md and its plots up to the recorded results.

The page's prose is written by hand. What stands between `<!-- bench NAME -->` and `<!-- end -->` is written here.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from bench_record import load
from plot_book import BOOK, Row, Sheet
from plot_svg import Bar, Panel, draw, number

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
_REGION: Final = re.compile(r"(<!-- bench (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MISSING: Final = "Not measured yet.\n"

Result = Mapping[str, Any]


def rendered(docs: Path) -> dict[Path, str]:
    """Every generated file below `docs` -> what it should say, by the results recorded there.

    Raises KeyError where a recorded measurement lacks a figure of the page, ValueError where the page has no
    place for a measurement.
    """
    results = load(docs / "plots" / "results.json")
    page = docs / "performance.md"
    measured = [sheet for sheet in BOOK if sheet.bench in results]
    files = {docs / "plots" / f"{sheet.bench}.svg": _plot(sheet, results[sheet.bench]) for sheet in measured}
    files[page] = _fill(page.read_text(), {sheet.bench: _region(sheet, results.get(sheet.bench)) for sheet in BOOK})
    return files


def _fill(text: str, regions: Mapping[str, str]) -> str:
    places = [match[2] for match in _REGION.finditer(text)]
    if sorted(places) != sorted(regions):
        raise ValueError(f"the page has places for {sorted(places)}, the book has {sorted(regions)}")
    return _REGION.sub(lambda match: match[1] + regions[match[2]] + match[3], text)


def _region(sheet: Sheet, result: Result | None) -> str:
    if result is None:
        return _MISSING
    lines = [
        f"`scripts/bench {sheet.bench}`, {_where(result)}.",
        "",
        "| what | figure | spread | bar |",
        "|---|---|---|---|",
        *(_line(row, result["figures"]) for row in sheet.rows),
        "",
        f"![{sheet.title}](plots/{sheet.bench}.svg)",
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row, figures: Mapping[str, Any]) -> str:
    value, spread = float(figures[row.figure]), row.spread_of(figures)
    what = ": ".join(part for part in (row.panel, row.text) if part)
    held = "" if row.limit is None or row.limit.holds(value, figures) else ", **missed**"
    limit = "yardstick" if row.is_yardstick else _note(row, figures) + held
    return f"| {what} | {number(value)} | {'' if spread is None else number(spread)} | {limit} |"


def _where(result: Result) -> str:
    machine = result["machine"]
    memory_gib = round(machine["memory_mib"] / 1024)
    return (
        f"{result['on']}: {machine['cpu']}, {machine['cores']} cores, {memory_gib} GiB, {machine['system']}, "
        f"Python {machine['python']}, fsync {machine['fsync_ms']} ms, load before it {machine['load']}"
    )


def _plot(sheet: Sheet, result: Result) -> str:
    return draw(sheet.title, list(_panels(sheet, result["figures"])))


def _panels(sheet: Sheet, figures: Mapping[str, Any]) -> Iterator[Panel]:
    for title, rows in groupby(sheet.rows, key=lambda row: row.panel):
        if title:
            yield Panel(title, [_bar(row, figures) for row in rows])


def _bar(row: Row, figures: Mapping[str, Any]) -> Bar:
    return Bar(
        row.text,
        float(figures[row.figure]),
        spread=row.spread_of(figures) or 0,
        limit=None if row.limit is None else row.limit.threshold(figures),
        note=_note(row, figures),
        is_yardstick=row.is_yardstick,
    )


def _note(row: Row, figures: Mapping[str, Any]) -> str:
    if row.limit is None:
        return ""
    return f"{'≤' if row.limit.at_most else '≥'} {number(row.limit.threshold(figures))}"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/plots")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a file is out of date")
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args(arguments)
    files = rendered(options.docs)
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    orphans = sorted(set((options.docs / "plots").glob("*.svg")) - set(files))
    if options.check:
        if stale or orphans:
            raise SystemExit("\n".join(["Run scripts/plots; out of date:", *map(str, [*stale, *orphans])]))
        return
    for path in stale:
        path.write_text(files[path])
    for path in orphans:
        path.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
