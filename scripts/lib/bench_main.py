"""`scripts/bench NAME [--json] [--record]`: one measurement, its machine, and one JSON line for machines."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import bench_stack
from bench_machine import machine
from bench_record import record

Figures = Mapping[str, float | int | str]


def mirror_figures(options: argparse.Namespace) -> Figures:
    """Needs the tests' node and web3.py, which only this measurement has to load."""
    import bench_mirror

    return bench_mirror.mirror(options)


def relay_figures(options: argparse.Namespace) -> Figures:
    """As `mirror_figures`."""
    import bench_relay

    return bench_relay.relay(options)


def gas_figures(options: argparse.Namespace) -> Figures:
    """Measured on an EVM in this process, which only this measurement has to load."""
    import gas

    return gas.run(json_only=options.json)


def accept_figures(options: argparse.Namespace) -> Figures:
    """Needs the driver of PostgreSQL and an event loop, which the other measurements start without."""
    import bench_accept

    return bench_accept.accept(options)


def read_figures(options: argparse.Namespace) -> Figures:
    """As `accept_figures`."""
    import bench_read

    return bench_read.read(options)


def scale_figures(options: argparse.Namespace) -> Figures:
    """As `accept_figures`."""
    import bench_scale

    return bench_scale.scale(options)


def segments_figures(options: argparse.Namespace) -> Figures:
    """As `accept_figures`."""
    import bench_segments

    return bench_segments.segments(options)


def earning_figures(options: argparse.Namespace) -> Figures:
    """Loads the rules' own parts, which the other measurements start without."""
    import bench_earning

    return bench_earning.earning(options)


BENCHES: Final[Mapping[str, tuple[str, Callable[[argparse.Namespace], Figures]]]] = {
    "gas": ("gas per credit, debit and redemption", gas_figures),
    "startup": ("from `mereau up` to /readyz, on a fresh data directory and again", bench_stack.startup),
    "memory": ("memory of the whole stack after the demo", bench_stack.memory),
    "import": ("a sales file, from start to reconciled, and again", bench_stack.import_sales),
    "accept": ("sales over HTTP, singly and in batches, beside pgbench doing the same SQL", accept_figures),
    "read": ("balances over HTTP, beside a bare FastAPI route with one SELECT", read_figures),
    "earning": ("50 rules on a sale of 20 lines; rules parsed for each sale beside it", earning_figures),
    "scale": ("reading, mirroring and table sizes from ten thousand to ten million members", scale_figures),
    "segments": ("ten segments refreshed over a million members, beside one plain aggregation", segments_figures),
    "relay": ("accepted credits to the chain; one web3.py transaction per credit beside it", relay_figures),
    "mirror": ("chain to tables, with 200 and with 10 events a block; web3.py beside it", mirror_figures),
}

ALL: Final = "all"


def parse(arguments: list[str]) -> argparse.Namespace:
    known = "\n".join(f"  {name:<8} {says}" for name, (says, _) in BENCHES.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"measurements:\n{known}\n  {ALL:<8} each of them in turn",
    )
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("--json", action="store_true", help="end the output with one JSON line")
    parser.add_argument("--record", action="store_true", help="keep the figures for `scripts/plots`")
    parser.add_argument("--repeat", type=int, default=3, help="runs where one is short (startup, accept, read, scale)")
    parser.add_argument("--seconds", type=float, default=10, help="length of one run (accept, read, scale)")
    parser.add_argument("--members", type=int, help="the largest size (scale: 10 million), or the size (segments: 1)")
    parser.add_argument("--file", type=Path, help="sales file of `import`; default: the full set if it is there")
    options = parser.parse_args(arguments)
    if options.name not in {*BENCHES, ALL}:
        parser.print_help(sys.stderr)
        parser.exit(2, f"\nscripts/bench: {'no NAME given' if options.name is None else 'unknown ' + options.name}\n")
    return options


def measure_all(arguments: list[str]) -> None:
    """Each in a process of its own, so that none runs in what another left in memory."""
    failed = [
        name for name in BENCHES if subprocess.run([sys.executable, __file__, name, *arguments], check=False).returncode
    ]
    if failed:
        raise SystemExit(f"scripts/bench: {', '.join(failed)} failed")


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    if options.name == ALL:
        measure_all([word for word in arguments if word != ALL])
        return
    _, measure = BENCHES[options.name]
    where = machine()
    print(", ".join(f"{name} {value}" for name, value in where.items()), file=sys.stderr)
    figures = measure(options)
    for name, value in figures.items():
        print(f"  {name:<28} {value:>14,}" if not isinstance(value, str) else f"  {name:<28} {value}", file=sys.stderr)
    if options.record:
        record(options.name, figures, where)
    if options.json:
        print(json.dumps({"bench": options.name, "figures": dict(figures), "machine": where}))


if __name__ == "__main__":
    main(sys.argv[1:])
