"""Parts of one installation as processes of their own, which know PostgreSQL and the node by URL alone."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.harness import ask, mereau, start, stop, wait_until
from fixtures.chain import free_port, running_anvil
from mereau.core.postgres import EmbeddedPostgres

DEPTH = 2
GAS_MONEY_WEI = 10**20


@dataclass
class Fleet:
    """`parts` are the running processes by a name of the test's own, as `relayer 2`."""

    names: dict[str, str]
    parts: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    urls: list[str] = field(default_factory=list)
    sold: int = 0

    def start(self, *wanted: str) -> None:
        for name in wanted:
            port = str(free_port())
            self.parts[name] = start(name.split()[0], **self.names | {"MEREAU_PORT": port})
            if name.startswith("api"):
                self.urls.append(f"http://127.0.0.1:{port}")

    @property
    def key(self) -> str:
        return (Path(self.names["MEREAU_DATA_DIR"]) / "operator.key").read_text().strip()

    def node(self, method: str, *params: Any) -> Any:
        content = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.names["MEREAU_CHAIN_URL"], content, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["result"]

    def post(self, path: str, body: Any, number: int = 0, key: str = "") -> Any:
        """A write through the API process `number`, counted modulo how many there are."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json", "idempotency-key": key}
        url = f"{self.urls[number % len(self.urls)]}/api/v1{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def get(self, path: str, number: int = 0) -> Any:
        status, body = ask(f"{self.urls[number % len(self.urls)]}/api/v1{path}", key=self.key)
        assert status == 200, body
        return body

    def ready(self, number: int = 0) -> dict[str, Any] | None:
        """What /readyz says; None where nobody answers."""
        found: dict[str, Any] | None = ask(f"{self.urls[number % len(self.urls)]}/readyz")[1]
        return found

    def active(self, part: str) -> str | None:
        """The name of the part's process that is at work."""
        process = (self.ready() or {}).get("active", {}).get(part)
        pids = {str(running.pid): name for name, running in self.parts.items()}
        return None if process is None else pids.get(process.rpartition(":")[2])

    def kill(self, name: str) -> None:
        os.kill(self.parts[name].pid, signal.SIGKILL)
        self.parts.pop(name).communicate()

    def succeeded(self, part: str, fallen: str) -> bool:
        return self.active(part) not in {None, fallen}

    def settle(self) -> None:
        """Mine until no order is open and the mirror has read everything."""

        def done() -> bool:
            self.node("anvil_mine", hex(DEPTH))
            newest = self.get("/batches?limit=100")["data"]
            return bool(newest) and all(batch["state"] in {"final", "superseded"} for batch in newest)

        wait_until(done, "the end of all work")


def measured(condition: Callable[[], Any], what: str, limit_s: float) -> float:
    """Seconds until the condition held."""
    began = time.monotonic()
    wait_until(condition, what, limit_s)
    return time.monotonic() - began


@contextmanager
def installed(home: Path) -> Iterator[Fleet]:
    """`mereau init` on a PostgreSQL server and a node, with gas money; nothing runs yet."""
    with EmbeddedPostgres(home / "postgres", home / "postgres.log") as server, running_anvil() as node_url:
        fleet = Fleet(
            {
                "MEREAU_DATA_DIR": str(home / "data"),
                "MEREAU_DATABASE_URL": server.url,
                "MEREAU_CHAIN_URL": node_url,
                "MEREAU_KEYSTORE_PASSWORD_FILE": str(home / "data" / "keystore.password"),
                "MEREAU_FINALITY": "depth",
                "MEREAU_FINALITY_DEPTH_BLOCKS": str(DEPTH),
                "MEREAU_SEAL_DELAY_S": "0.2",
            }
        )
        (home / "data").mkdir()
        refusal = mereau("init", expect=2, **fleet.names)
        assert "gas money" in refusal
        for address in json.loads((home / "data" / "funded.json").read_text()):
            fleet.node("anvil_setBalance", address, hex(GAS_MONEY_WEI))
        mereau("init", **fleet.names)
        with ExitStack() as cleanup:
            cleanup.callback(lambda: [stop(process) for process in fleet.parts.values()])
            yield fleet
