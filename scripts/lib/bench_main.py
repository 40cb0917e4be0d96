"""`scripts/bench NAME [--json] [--file FILE]`: one measurement, its machine, and one JSON line for machines."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import bench_stack
from bench_machine import machine

Figures = Mapping[str, float | int | str]


def gas_figures(options: argparse.Namespace) -> Figures:
    """Measured on an EVM in this process, which only this measurement has to load."""
    import gas

    return gas.run(json_only=options.json)


BENCHES: Final[Mapping[str, tuple[str, Callable[[argparse.Namespace], Figures]]]] = {
    "gas": ("gas per credit, debit and redemption", gas_figures),
    "startup": ("from `mereau up` to /readyz, on a fresh data directory and again", bench_stack.startup),
    "memory": ("memory of the whole stack after the demo", bench_stack.memory),
    "import": ("a sales file, from start to reconciled, and again", bench_stack.import_sales),
}


def parse(arguments: list[str]) -> argparse.Namespace:
    known = "\n".join(f"  {name:<8} {says}" for name, (says, _) in BENCHES.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"measurements:\n{known}",
    )
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("--json", action="store_true", help="end the output with one JSON line")
    parser.add_argument("--repeat", type=int, default=3, help="runs where one is short (startup)")
    parser.add_argument("--file", type=Path, help="sales file of `import`; default: the full set if it is there")
    options = parser.parse_args(arguments)
    if options.name not in BENCHES:
        parser.print_help(sys.stderr)
        parser.exit(2, f"\nscripts/bench: {'no NAME given' if options.name is None else 'unknown ' + options.name}\n")
    return options


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    _, measure = BENCHES[options.name]
    where = machine()
    print(", ".join(f"{name} {value}" for name, value in where.items()), file=sys.stderr)
    figures = measure(options)
    for name, value in figures.items():
        print(f"  {name:<28} {value:>14,}" if not isinstance(value, str) else f"  {name:<28} {value}", file=sys.stderr)
    if options.json:
        print(json.dumps({"bench": options.name, "figures": dict(figures), "machine": where}))


if __name__ == "__main__":
    main(sys.argv[1:])
