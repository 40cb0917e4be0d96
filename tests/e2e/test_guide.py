"""The guide to building programmes is followed as written, each programme on an installation of its own."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from e2e.guide import Reader, Step, sections
from e2e.harness import stack_on
from mereau.earning.domain import AWARDS, TRIGGERS
from mereau.rewards.availability.domain import CODES
from mereau.rewards.kinds.domain import KINDS

GUIDE = Path(__file__).parents[2] / "docs" / "programme.md"
SECTIONS = sections(GUIDE)
PAGE = """# Title

```http
GET /none

200
```

## One

Text.

```http
POST /things
Authorization: Bearer {key}
{"a":
 1}

201
{"id": "{thing}"}
```

```bash
curl
```

## Two

```http
DELETE /things/{thing}

204
```

## Three
"""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("title", SECTIONS, ids=[str(number) for number in range(1, 1 + len(SECTIONS))])
def test_the_guide_works_as_written(title: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with stack_on(tmp_path / "data") as (_, state):
        known = {
            "operator_key": (tmp_path / "data" / "operator.key").read_text().strip(),
            "yesterday": (now - timedelta(days=1)).isoformat(),
            **{f"days_ago_{days}": (now - timedelta(days=days)).isoformat() for days in range(2, 10)},
        }
        reader = Reader(state["api_url"], known)
        for step in SECTIONS[title]:
            reader.follow(step)


@pytest.mark.parametrize(
    "words", [TRIGGERS, AWARDS, tuple(KINDS), CODES], ids=["triggers", "awards", "kinds", "obstacles"]
)
def test_the_guide_leaves_nothing_out(words: tuple[str, ...]) -> None:
    page = GUIDE.read_text()
    assert [word for word in words if f"`{word}`" not in page] == []


def test_a_page_is_read_as_it_stands(tmp_path: Path) -> None:
    page = tmp_path / "guide.md"
    page.write_text(PAGE)
    assert sections(page) == {
        "One": [Step("POST", "/things", {"Authorization": "Bearer {key}"}, '{"a":\n 1}', 201, {"id": "{thing}"})],
        "Two": [Step("DELETE", "/things/{thing}", {}, "", 204, {})],
    }


class Echo(BaseHTTPRequestHandler):
    """Answers 201 with who asked for what, and with what."""

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"]))
        answer = {"path": self.path, "key": self.headers["Authorization"], "said": json.loads(said), "all": [1, "b"]}
        self.send_response(201)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def echo() -> Iterator[Reader]:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Reader(f"http://127.0.0.1:{server.server_port}", {"operator_key": "k", "there": "x"})
        server.shutdown()
        thread.join()


def a_step(answer: object, status: int = 201) -> Step:
    return Step("POST", "/a/{there}", {}, '{"name": "Lea", "unknown": "{gap}"}', status, answer)


def test_what_is_known_is_put_in_and_what_is_asked_for_is_remembered(echo: Reader) -> None:
    echo.follow(a_step({"path": "/api/v1/a/{there}", "key": "Bearer k", "said": {"name": "{who}", "unknown": "{gap}"}}))
    assert (echo.known["who"], echo.known["gap"]) == ("Lea", "{gap}")
    echo.follow(a_step({"said": {"name": "{who}"}, "all": [1, "b"]}))


@pytest.mark.parametrize(
    "answer",
    [{"said": {"name": "Leo"}}, {"said": "Lea"}, {"there": 1}, {"path": "{there}"}, {"all": [1]}, {"all": [True, "b"]}],
)
def test_an_answer_that_is_not_as_written_is_told(echo: Reader, answer: object) -> None:
    with pytest.raises(AssertionError, match="POST /a/"):
        echo.follow(a_step(answer))


def test_another_status_is_told(echo: Reader) -> None:
    with pytest.raises(AssertionError, match="201"):
        echo.follow(a_step({}, status=200))
