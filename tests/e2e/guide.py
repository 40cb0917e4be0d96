"""Reads a guide's requests and plays them as written, against a running API.

A request stands in an `http` block: method and path, headers of its own, a body, an empty line, then the status and
what the answer must contain. `{name}` is put in where it is known; as a whole text of the answer it is remembered.
`{now}` is the moment at which it is sent.
"""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

_BLOCK: Final = re.compile(r"```http\n(.*?)```", re.DOTALL)
_HEADER: Final = re.compile(r"[A-Za-z-]+: ")
_NAME: Final = re.compile(r"\{([a-z_0-9]+)\}")
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True)
class Step:
    """One request of a guide and what must come of it."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    answer: Any


@dataclass
class Reader:
    """Who follows a guide: where the API is, and what was remembered so far."""

    url: str
    known: dict[str, str] = field(default_factory=dict)
    sent: int = 0

    def follow(self, step: Step) -> None:
        """Send the request; AssertionError where the answer is not as written.

        What is read may take a moment to become so: a GET is repeated until it is, for half a minute.
        """
        deadline = time.monotonic() + (_PATIENCE_S if step.method == "GET" else 0)
        while True:
            status, answer = self._send(step)
            if status == step.status and self._matches(step.answer, answer):
                return
            assert time.monotonic() < deadline, f"{step.method} {step.path}: {status} {json.dumps(answer, indent=1)}"
            time.sleep(0.1)

    def _send(self, step: Step) -> tuple[int, Any]:
        self.sent += 1
        self.known["now"] = datetime.now(UTC).isoformat()
        headers = {"Authorization": "Bearer {operator_key}", "Idempotency-Key": f"guide-{self.sent}"} | step.headers
        request = urllib.request.Request(
            f"{self.url}/api/v1{self._put_in(step.path)}",
            method=step.method,
            headers={name: self._put_in(value) for name, value in headers.items()},
            data=self._put_in(step.body).encode() or None,
        )
        if step.body:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, _read(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error.read())

    def _put_in(self, text: str) -> str:
        return _NAME.sub(lambda found: self.known.get(found[1], found[0]), text)

    def _matches(self, wanted: Any, found: Any) -> bool:
        if isinstance(wanted, dict):
            return isinstance(found, dict) and all(
                name in found and self._matches(value, found[name]) for name, value in wanted.items()
            )
        if isinstance(wanted, list):
            return (
                isinstance(found, list)
                and len(wanted) == len(found)
                and all(self._matches(*pair) for pair in zip(wanted, found, strict=True))
            )
        if isinstance(wanted, str):
            return self._is_or_remembers(wanted, found)
        return type(wanted) is type(found) and bool(wanted == found)

    def _is_or_remembers(self, wanted: str, found: Any) -> bool:
        name = _NAME.fullmatch(wanted)
        if name is not None and name[1] not in self.known and isinstance(found, str):
            self.known[name[1]] = found
        return bool(self._put_in(wanted) == found)


def _read(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode()


def sections(page: Path) -> dict[str, list[Step]]:
    """Heading of the second level -> its steps, in the order of the page; headings without steps are left out."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    found = {title: list(_steps(text)) for title, text in zip(parts[1::2], parts[2::2], strict=True)}
    return {title: steps for title, steps in found.items() if steps}


def _steps(text: str) -> Iterator[Step]:
    for block in _BLOCK.findall(text):
        request, _, wanted = block.strip().partition("\n\n")
        status, _, answer = wanted.partition("\n")
        (method, path), headers, body = _request(request)
        yield Step(method, path, headers, body, int(status), json.loads(answer) if answer.strip() else {})


def _request(text: str) -> tuple[tuple[str, str], dict[str, str], str]:
    first, *rest = text.splitlines()
    method, path = first.split(" ", 1)
    headers = {}
    while rest and _HEADER.match(rest[0]):
        name, value = rest.pop(0).split(": ", 1)
        headers[name] = value
    return (method, path), headers, "\n".join(rest)
