"""Refusals of every layer are problem documents, bugs are numbered, and a lost database is a 503."""

import asyncio
import re
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Message, Scope

from api.world import ApiWorld, client_of, serve
from mereau.core import problems
from mereau.core.boundary import Boundary
from mereau.core.db import create_engine
from mereau.core.errors import ConfigurationError


def problem_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "errors", "request_id", "instance"}
    assert (body["code"], body["status"], body["type"]) == (code, status, f"urn:mereau:problem:{code}")
    assert body["request_id"] == response.headers["x-request-id"]
    return body


async def test_an_unknown_path_is_a_problem(world: ApiWorld) -> None:
    body = problem_of(await world.get("operator", "/moon"), 404, "not_found")
    assert body["instance"] == "/api/v1/moon"


async def test_a_trailing_slash_is_another_path(world: ApiWorld) -> None:
    problem_of(await world.get("operator", "/rewards/"), 404, "not_found")


async def test_a_path_that_is_no_text_is_a_problem(world: ApiWorld) -> None:
    for path in ("/members/%ff%00", "/sales/%ed%a0%80", "/members/..%2f..%2fetc", "/batches/\u202e"):
        problem_of(await world.get("operator", path), 404, "not_found")


async def test_a_wrong_method_names_the_right_ones(world: ApiWorld) -> None:
    response = await world.send("operator", "PATCH", "/rewards")
    problem_of(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.0", "1e1", "1_0", " 5", "٣", "x", "", "9" * 5_000])
async def test_a_wrong_limit_names_the_parameter(world: ApiWorld, limit: str) -> None:
    body = problem_of(await world.get("operator", "/rewards", limit=limit), 422, "invalid_input")
    assert [error["pointer"] for error in body["errors"]] == ["limit"]


@pytest.mark.parametrize("cursor", ["", "x" * 201, "%%%", "bW9vbg", "\0"])
async def test_a_wrong_cursor_names_the_parameter(world: ApiWorld, cursor: str) -> None:
    body = problem_of(await world.get("operator", "/partners", cursor=cursor), 422, "invalid_input")
    assert [error["pointer"] for error in body["errors"]] == ["cursor"]


async def test_no_key_says_how_to_send_one(world: ApiWorld) -> None:
    response = await world.get(None, "/rewards")
    problem_of(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == 'Bearer realm="mereau"'


async def test_an_unknown_caller_has_no_body_read(world: ApiWorld) -> None:
    for content in (b"{", b"x" * 3_000_000):
        response = await world.send(None, "POST", "/sales", content=content)
        problem_of(response, 401, "unauthenticated")


async def test_a_missing_scope_is_named(world: ApiWorld) -> None:
    body = problem_of(await world.post("auditor", "/sales", {}), 403, "missing_scope")
    assert "sales:write" in body["detail"]


async def test_the_callers_request_id_is_kept_where_it_is_plain(world: ApiWorld) -> None:
    kept = await world.send(None, "GET", "/moon", headers={"x-request-id": "till-4_17.b"})
    assert problem_of(kept, 404, "not_found")["request_id"] == "till-4_17.b"
    for odd in ("a b", "x" * 65, "a\\nb", "<script>", ""):
        other = await world.send(None, "GET", "/moon", headers={"x-request-id": odd})
        assert re.fullmatch(r"req_[0-9A-Z]{26}", problem_of(other, 404, "not_found")["request_id"])


async def test_a_bug_is_a_numbered_500_and_no_more(world: ApiWorld, capsys: pytest.CaptureFixture[str]) -> None:
    @world.app.get("/api/v1/bug")
    async def bug() -> None:
        secret = "hunter2"
        raise RuntimeError(len(secret))

    response = await world.get("operator", "/bug")
    body = problem_of(response, 500, "internal")
    assert "hunter2" not in response.text
    logged = "".join(capsys.readouterr())
    assert body["request_id"] in logged
    assert "RuntimeError" in logged
    assert world.keys["operator"] not in logged


async def test_a_fault_of_the_installation_is_logged(world: ApiWorld, capsys: pytest.CaptureFixture[str]) -> None:
    @world.app.get("/api/v1/unset")
    async def unset() -> None:
        raise ConfigurationError("Create a programme.")

    problem_of(await world.get(None, "/unset"), 500, "configuration")
    assert "Create a programme." in "".join(capsys.readouterr())


async def test_other_http_errors_keep_their_status(world: ApiWorld) -> None:
    @world.app.get("/api/v1/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    body = problem_of(await world.get(None, "/teapot"), 418, "invalid_input")
    assert body["detail"] == "short and stout"


async def test_an_error_under_way_breaks_the_connection(world: ApiWorld) -> None:
    async def halves() -> Any:
        yield b"half"
        raise RuntimeError

    @world.app.get("/api/v1/half")
    async def half() -> StreamingResponse:
        return StreamingResponse(halves())

    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://mereau.test") as client:
        with pytest.raises(RuntimeError):
            await client.get("/api/v1/half")


async def test_a_lost_database_is_a_503() -> None:
    engine = create_engine("postgresql://nobody@127.0.0.1:1/none")
    key = f"{'mk_test_'}{'0' * 43}"
    async with client_of(serve(engine)) as client:
        from mereau.auth.domain import format_key

        assert key != format_key("test", bytes(32))
        response = await client.get("/rewards", headers={"authorization": f"Bearer {format_key('test', bytes(32))}"})
        problem_of(response, 503, "unavailable")
        assert response.headers["retry-after"] == "1"
        ready = await client.get("http://mereau.test/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["The database does not answer."])
        assert (await client.get("http://mereau.test/healthz")).json() == {"status": "ok"}
    await engine.dispose()


async def test_connections_cut_between_requests_are_replaced(world: ApiWorld, postgres_url: str) -> None:
    assert (await world.get("operator", "/rewards")).status_code == 200
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s",
            [world.engine.url.database],
        )
    assert (await world.get("operator", "/rewards")).status_code == 200


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("q", {}, psycopg.errors.DeadlockDetected()), "unavailable"),
        (psycopg.OperationalError(), "unavailable"),
        (PoolTimeoutError(), "unavailable"),
        (OperationalError("q", {}, psycopg.InterfaceError(), connection_invalidated=True), "unavailable"),
        (IntegrityError("q", {}, psycopg.errors.UniqueViolation()), "conflict"),
        (IntegrityError("q", {}, psycopg.errors.ForeignKeyViolation()), None),
        (ProgrammingError("q", {}, psycopg.errors.UndefinedTable()), None),
    ],
)
async def test_database_errors_mean_something_or_are_bugs(error: Exception, code: str | None) -> None:
    meaning = problems.from_database(error)
    assert (meaning.code if meaning else None) == code


async def test_a_bug_in_sql_is_a_bug(world: ApiWorld) -> None:
    @world.app.get("/api/v1/sql")
    async def sql() -> None:
        raise ProgrammingError("select", {}, psycopg.errors.UndefinedTable("no table of secrets"))

    response = await world.get(None, "/sql")
    problem_of(response, 500, "internal")
    assert "secrets" not in response.text


async def test_handlers_take_only_their_errors() -> None:
    app = FastAPI()
    problems.install(app)
    request = problems.Request({"type": "http", "path": "/", "headers": []})
    for kind in (problems.MereauError, HTTPException, problems.RequestValidationError):
        with pytest.raises(ValueError, match="strange"):
            await app.exception_handlers[kind](request, ValueError("strange"))


async def test_the_boundary_lets_other_protocols_pass() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Message:
        return {"type": "none"}

    await Boundary(app, lambda *_: seen.append("observed"))({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]


async def test_findings_are_bounded(world: ApiWorld) -> None:
    sale = world.a_sale(lines=[{"sku": 1} for _ in range(200)])
    body = problem_of(await world.post("partner_a", "/sales", sale), 422, "invalid_input")
    assert len(body["errors"]) == problems.ERRORS_MAX


async def test_a_body_that_never_ends_is_given_up(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mereau.core.http.BODY_TIMEOUT_S", 0.05)

    async def stuck() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    headers = {"content-type": "application/json"}
    problem_of(await world.send("partner_a", "POST", "/sales", content=stuck(), headers=headers), 408, "body_timeout")


async def test_a_connection_that_ends_within_the_body_is_noticed(engine: AsyncEngine, world: ApiWorld) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = {"authorization": f"Bearer {world.keys['partner_a']}", "content-type": "application/json"}
    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/sales", "raw_path": b"", "query_string": b"",
        "root_path": "",
        "scheme": "http", "http_version": "1.1", "server": ("mereau.test", 80), "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    await world.app(scope, receive, send)
    assert sent[0]["status"] == 400
