"""`python -m mereau.worker PART... [--ready-file FILE]`: PART is relayer, mirror or jobs."""

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Final

import uvloop

from mereau.core.activity import introduce
from mereau.core.config import Settings
from mereau.core.errors import MereauError
from mereau.core.logging import configure_logging
from mereau.worker.parts import PARTS, opened

_MISCONFIGURED: Final = 2


async def serve(parts: list[str], ready_file: Path | None) -> None:
    """Run the parts in one event loop until SIGTERM or SIGINT; one that fails ends the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    settings = Settings()
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    async with opened(settings) as workshop:
        running = [await PARTS[part](workshop) for part in parts]
        # What was imported lives as long as the process: collections need not look at it again.
        gc.freeze()
        if ready_file is not None:
            await asyncio.to_thread(ready_file.write_text, str(os.getpid()))
        async with asyncio.TaskGroup() as group:
            for part in running:
                group.create_task(part.run(stop))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m mereau.worker")
    parser.add_argument("parts", nargs="+", choices=sorted(PARTS))
    parser.add_argument("--ready-file", type=Path)
    chosen = parser.parse_args(arguments)
    introduce("+".join(chosen.parts))
    try:
        uvloop.run(serve(chosen.parts, chosen.ready_file))
    except MereauError as error:
        print(f"error: {error.detail}", file=sys.stderr)  # noqa: T201 - the last word of a process
        sys.exit(_MISCONFIGURED)


if __name__ == "__main__":
    main(sys.argv[1:])
