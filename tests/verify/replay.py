"""A node that repeats what a real one answered, and lies where it is told to: JSON-RPC over HTTP, in a thread."""

import copy
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from mereau_verify.report import Report
from mereau_verify.rpc import Node
from mereau_verify.verification import verify

Lines = list[dict[str, Any]]


@dataclass(frozen=True)
class Raw:
    """An HTTP answer that is not a JSON-RPC result: its status and body."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Refusal:
    """A JSON-RPC error."""

    message: str
    status: int = 200


Lie = Callable[[str, list[Any], Any], Any]
"""Given method, params and the true result (a copy, free to change), the result to answer, a Raw or a Refusal."""


@dataclass
class Replay:
    """Answers of the node at `source`, asked once each and then repeated; `calls` lists what was asked here."""

    source: str
    recorded: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, list[Any]]] = field(default_factory=list)
    lie: Lie | None = None
    url: str = ""

    def answer(self, request: dict[str, Any]) -> Raw:
        method, params = request["method"], request["params"]
        self.calls.append((method, params))
        key = json.dumps([method, params])
        if key not in self.recorded:
            self.recorded[key] = self._ask(request)
        told = copy.deepcopy(self.recorded[key])
        if self.lie is not None and "result" in told:
            told = {"result": self.lie(method, params, told["result"])}
        result = told.get("result")
        if isinstance(result, Raw):
            return result
        if isinstance(result, Refusal):
            error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": result.message}}
            return Raw(result.status, json.dumps(error).encode())
        return Raw(200, json.dumps({"jsonrpc": "2.0", "id": request["id"], **told}).encode())

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        asked = urllib.request.Request(self.source, json.dumps(request).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=30) as response:
            answer = json.load(response)
        return {name: answer[name] for name in ("result", "error") if name in answer}

    @contextmanager
    def lying(self, lie: Lie) -> Iterator[str]:
        """The url, while the node lies so."""
        self.lie, self.calls = lie, []
        try:
            yield self.url
        finally:
            self.lie = None


@contextmanager
def serving(replay: Replay) -> Iterator[Replay]:
    """Serve the replay on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = replay.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(raw.status)
            self.send_header("Content-Length", str(len(raw.body)))
            self.end_headers()
            self.wfile.write(raw.body)

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        replay.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield replay
        finally:
            server.shutdown()
            thread.join(timeout=10)


def silent(phase: str, done: int, total: int) -> None:
    """No progress wanted."""


def verified(folder: Path, url: str) -> Report:
    """What the verifier says of a folder, asking the node at `url`."""
    node = Node(url)
    try:
        return verify(folder, node, silent)
    finally:
        node.close()


def rules(report: Report) -> set[str]:
    return {finding.rule for finding in report.findings}
