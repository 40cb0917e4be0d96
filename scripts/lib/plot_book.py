"""What the performance page says of each measurement: its figures, their bars, and which of them share a panel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limit:
    """The bar of a figure: `value`, or that many times the figure `of` of the same run."""

    value: float
    at_most: bool = False
    of: str = ""

    def threshold(self, figures: Figures) -> float:
        return self.value * (float(figures[self.of]) if self.of else 1)

    def holds(self, value: float, figures: Figures) -> bool:
        threshold = self.threshold(figures)
        return value <= threshold if self.at_most else value >= threshold


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the page. Rows of one `panel` are drawn on one scale; those of none stand in the table alone."""

    text: str
    figure: str
    panel: str = ""
    limit: Limit | None = None
    is_yardstick: bool = False
    spread: str = ""

    def spread_of(self, figures: Figures) -> float | None:
        """The largest run less the smallest, None where the measurement has one run or cannot vary."""
        found = figures.get(self.spread or f"{self.figure}_spread")
        return None if found is None else float(found)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One measurement: its command's name and what is shown of it."""

    bench: str
    title: str
    rows: tuple[Row, ...]


def _least(value: float, of: str = "") -> Limit:
    return Limit(value, of=of)


def _most(value: float, of: str = "") -> Limit:
    return Limit(value, at_most=True, of=of)


def _yardstick(text: str, figure: str, panel: str = "") -> Row:
    return Row(text, figure, panel, is_yardstick=True)


_SIZES: Final = (("10 k members", "10k"), ("100 k members", "100k"), ("1 M members", "1m"), ("10 M members", "10m"))


def _sized(panel: str, figure: str, limit: Limit | None = None) -> tuple[Row, ...]:
    """The same figure at each number of members; `limit` is that of the largest."""
    return tuple(
        Row(text, f"{figure}_{size}", panel, limit if size == _SIZES[-1][1] else None) for text, size in _SIZES
    )


BOOK: Final = (
    Sheet(
        "accept",
        "Sales accepted through HTTP",
        (
            Row("POST /sales, one sale each", "single_rps", "Requests a second", _least(400)),
            _yardstick("pgbench, the same SQL", "pgbench_tps", "Requests a second"),
            Row("POST /sales/batch, 500 each", "batch_sales_per_s", "Sales a second, in batches", _least(4_000)),
            Row("POST /sales, 32 connections", "single_p99_ms", "99th percentile, milliseconds", _most(200)),
        ),
    ),
    Sheet(
        "read",
        "Balances read through HTTP",
        (
            Row("GET balance", "rps", "Requests a second", _least(1_300)),
            _yardstick("a bare route, one SELECT", "bare_rps", "Requests a second"),
            Row("GET balance, against the bare route", "rps", limit=_least(0.8, of="bare_rps")),
            Row("GET balance, 32 connections", "p99_ms", "99th percentile, milliseconds", _most(80)),
        ),
    ),
    Sheet(
        "relay",
        "From accepted to mined",
        (
            Row("relayer", "credits_per_s", "Credits a second on anvil", _least(4_000)),
            _yardstick("one transaction per credit", "one_by_one_per_s", "Credits a second on anvil"),
            Row("Relayer, against the yardstick", "credits_per_s", limit=_least(25, of="one_by_one_per_s")),
        ),
    ),
    Sheet(
        "mirror",
        "From chain to tables, every proof checked",
        (
            Row("200 events a block", "events_per_s_200", "Events a second", _least(25_000)),
            _yardstick("web3.py loop, nothing checked", "web3_events_per_s_200", "Events a second"),
            Row("10 events a block", "events_per_s_10", "Events a second, small blocks", _least(3_000)),
        ),
    ),
    Sheet(
        "scale",
        "Ten thousand to ten million members",
        (
            *_sized("GET balance, 99th percentile, ms", "read_p99_ms", _most(1.5, of="read_p99_ms_10k")),
            *_sized("GET balance before all was read once, ms", "read_first_p99_ms"),
            *_sized("The bare SELECT, 99th percentile, ms", "select_p99_ms"),
            *_sized("Backfill, events a second", "backfill_events_per_s"),
            *_sized("Tables and indexes, MiB", "table_mib"),
        ),
    ),
    Sheet(
        "gas",
        "Gas",
        (
            Row("credit, existing holder, of 200", "issue_existing_200", "Gas each", _most(8_000)),
            _yardstick("OpenZeppelin, a loop of 200", "oz_loop_existing_200", "Gas each"),
            Row("reversal, of 200", "reverse_200", "Gas each", _most(8_000)),
            Row("expiry, of 200", "expire_200", "Gas each", _most(8_000)),
            Row("redemption, of 50", "redeem_50", "Gas each", _most(16_500)),
            Row("credit, new holder, of 200", "issue_new_200", "Gas each", _most(25_200)),
            _yardstick("OpenZeppelin, a single mint", "oz_single_existing", "Gas each"),
        ),
    ),
    Sheet(
        "import",
        "A year of retail, file to reconciled",
        (
            Row("first run", "first_s", "Seconds", _most(150)),
            Row("again, nothing changed", "again_s", "Seconds", _most(30)),
            _yardstick("reading the file alone", "reading_s", "Seconds"),
            Row("all processes", "rss_mib", "Memory, MiB", _most(600)),
        ),
    ),
    Sheet(
        "earning",
        "What a sale earns",
        (
            Row(
                "50 active rules, 20 lines",
                "median_ms",
                "Milliseconds a sale, median",
                _most(1),
                spread="median_spread_ms",
            ),
            _yardstick("rules parsed for each sale", "naive_median_ms", "Milliseconds a sale, median"),
            Row("50 active rules, 20 lines, 99th percentile, ms", "p99_ms"),
        ),
    ),
    Sheet(
        "segments",
        "Ten segments over a million members",
        (
            Row("all from nothing", "seconds_1m", "Seconds", _most(60)),
            Row("the next day", "again_s_1m", "Seconds"),
            _yardstick("one plain aggregation", "aggregate_s_1m", "Seconds"),
            Row("Sales", "sales"),
        ),
    ),
    Sheet(
        "startup",
        "Start",
        (
            Row("first start", "first_s", "Seconds to /readyz", _most(20), spread="first_spread_s"),
            Row("again", "again_s", "Seconds to /readyz", _most(8), spread="again_spread_s"),
            _yardstick("importing the two heaviest libraries", "imports_s", "Seconds to /readyz"),
        ),
    ),
    Sheet(
        "memory",
        "Memory of the stack after the demo",
        (
            Row("all processes, shared pages once", "rss_mib", "MiB", _most(600)),
            Row("plain sum of resident sizes", "rss_sum_mib", "MiB"),
        ),
    ),
)
