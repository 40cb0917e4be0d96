"""The API as a process of its own: `python -m mereau.cli.serve_api`. Settings come from the environment."""

import signal
import sys

import uvicorn

from mereau.core.config import Settings


def main() -> None:
    """Serve until SIGTERM; requests in flight are answered first."""
    settings = Settings()
    # The server raises the signal that ended it once more when all is answered: that is success, not death.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        # By name: the composition roots do not import each other.
        "mereau.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        access_log=False,
        server_header=False,
        # Nothing here looks at the client's address or scheme.
        proxy_headers=False,
        loop="uvloop",
        http="httptools",
        log_level=settings.log_level.lower(),
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
