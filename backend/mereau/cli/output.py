"""What commands print: tables and progress for people, one JSON object for machines, a line per error."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

_PLAIN_EVERY_S: Final = 5.0


def say(text: str) -> None:
    """A line for people. It goes to standard error, so that standard output is the result alone."""
    print(text, file=sys.stderr, flush=True)


def emit_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def emit_table(title: str, rows: Sequence[tuple[str, object]]) -> None:
    """Two columns, numbers grouped: boxed by rich on a terminal, aligned plain text elsewhere."""
    texts = [(name, _text(value)) for name, value in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left", show_header=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in texts:
            table.add_row(name, value)
        Console().print(table)
        return
    width = max((len(name) for name, _ in texts), default=0)
    print(title)
    for name, value in texts:
        print(f"  {name:<{width}}  {value}".rstrip())
    sys.stdout.flush()


def emit(title: str, rows: Sequence[tuple[str, object]], *, as_json: bool) -> None:
    """The same facts as a table, or as one JSON object whose keys are the names with underscores."""
    if as_json:
        emit_json({name.replace(" ", "_"): value for name, value in rows})
    else:
        emit_table(title, rows)


class Reporter(Protocol):
    """Takes how far each phase of long work is; `total` is None while unknown."""

    def __call__(self, phase: str, done: int, total: int | None) -> None: ...


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Reporter]:
    """Bars on a terminal; elsewhere a line when a phase ends or some seconds have passed."""
    if quiet:
        yield _silent
    elif sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _plain()


@contextmanager
def _bars() -> Iterator[Reporter]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def report(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)

        yield report


def _silent(phase: str, done: int, total: int | None) -> None:
    """The reporter of commands whose output a machine reads."""


def _plain() -> Reporter:
    last: dict[str, tuple[float, int, int | None]] = {}

    def report(phase: str, done: int, total: int | None) -> None:
        at, *shown = last.get(phase, (float("-inf"), None, None))
        now = time.monotonic()
        ended = total is not None and done >= total
        if shown != [done, total] and (ended or now - at >= _PLAIN_EVERY_S):
            last[phase] = (now, done, total)
            say(f"{phase}: {done:,}" + ("" if total is None else f" of {total:,}"))

    return report


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
