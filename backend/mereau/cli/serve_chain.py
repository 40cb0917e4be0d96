"""The embedded chain as a child process: `python -m mereau.cli.serve_chain DATA_DIR PORT CHAIN_ID`."""

import json
import sys
from pathlib import Path

from mereau.chain.embedded import serve
from mereau.core.layout import Layout


def main(arguments: list[str]) -> None:
    """Serve until SIGTERM. The accounts that genesis funds were written down by `prepare keys`."""
    data_dir, port, chain_id = arguments
    layout = Layout(Path(data_dir))
    funded = json.loads(layout.funded.read_text())
    serve(layout.chain, port=int(port), chain_id=int(chain_id), funded=funded)


if __name__ == "__main__":
    main(sys.argv[1:])
