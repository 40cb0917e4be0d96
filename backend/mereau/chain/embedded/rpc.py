"""JSON-RPC 2.0 over one body: parse, run each request where it belongs, answer in order."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import orjson
import structlog

from mereau.chain.embedded import execution, methods
from mereau.chain.embedded.chain import EmbeddedChain
from mereau.chain.embedded.encoding import hexed
from mereau.chain.embedded.errors import (
    ChainError,
    InvalidParamsError,
    InvalidRequestError,
    MethodNotFoundError,
    ParseError,
)
from mereau.chain.embedded.registry import Lane, Method

BATCH_MAX = 1_000
METHODS = methods.registry | execution.registry

_LOG = structlog.get_logger()
_INTERNAL_ERROR = -32603

Answer = dict[str, Any]
Work = Callable[[], list[Answer]]


class Request(NamedTuple):
    """One call. `id_given` is false for a notification, which gets no answer."""

    id: str | int | float | None
    id_given: bool
    method: Method
    parameters: list[Any]
    name: str


class Lanes(NamedTuple):
    """How the server runs work: on a reading thread, on the mining thread, or as transactions to mine."""

    read: Callable[[Work], Awaitable[list[Answer]]]
    execute: Callable[[Work], Awaitable[list[Answer]]]
    submit: Callable[[bytes], Awaitable[bytes]]


async def respond(chain: EmbeddedChain, lanes: Lanes, body: bytes) -> bytes:
    """The body to answer with, empty if there were only notifications. Never raises for a bad body."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return orjson.dumps(_failure(None, ParseError("parse error")))
    if not isinstance(payload, list):
        answers = await _run_all(chain, lanes, [payload])
        return orjson.dumps(answers[0]) if answers else b""
    if not 0 < len(payload) <= BATCH_MAX:
        error = InvalidRequestError("empty batch" if not payload else f"batch over {BATCH_MAX} requests")
        return orjson.dumps(_failure(None, error))
    answers = await _run_all(chain, lanes, payload)
    return orjson.dumps(answers) if answers else b""


async def _run_all(chain: EmbeddedChain, lanes: Lanes, payloads: list[Any]) -> list[Answer]:
    answers: list[Answer] = []
    group: list[Request | Answer] = []
    for payload in payloads:
        parsed = _parse(chain, payload)
        if group and _lane(parsed) is not _lane(group[0]):
            answers += await _run_group(chain, lanes, group)
            group = []
        group.append(parsed)
    return answers + await _run_group(chain, lanes, group)


def _lane(parsed: "Request | Answer") -> Lane:
    return parsed.method.lane if isinstance(parsed, Request) else Lane.READ


async def _run_group(chain: EmbeddedChain, lanes: Lanes, group: "list[Request | Answer]") -> list[Answer]:
    lane = _lane(group[0])
    if lane is Lane.SUBMIT:
        return await _submit(chain, lanes, [request for request in group if isinstance(request, Request)])

    def work() -> list[Answer]:
        answers = [_run(chain, entry) if isinstance(entry, Request) else entry for entry in group]
        return [answer for answer in answers if answer]

    return await (lanes.read if lane is Lane.READ else lanes.execute)(work)


async def _submit(chain: EmbeddedChain, lanes: Lanes, requests: list[Request]) -> list[Answer]:
    outcomes = await asyncio.gather(
        *(_submit_one(chain, lanes, request) for request in requests), return_exceptions=True
    )
    return [_answer(request, outcome) for request, outcome in zip(requests, outcomes, strict=True) if request.id_given]


async def _submit_one(chain: EmbeddedChain, lanes: Lanes, request: Request) -> str:
    return hexed(await lanes.submit(request.method(chain, request.parameters)))


def _run(chain: EmbeddedChain, request: Request) -> Answer:
    outcome: Any
    try:
        outcome = request.method(chain, request.parameters)
    except Exception as error:  # noqa: BLE001 - _answer tells refusals from faults
        outcome = error
    return _answer(request, outcome) if request.id_given else {}


def _answer(request: Request, outcome: Any) -> Answer:
    if not isinstance(outcome, BaseException):
        return {"jsonrpc": "2.0", "id": request.id, "result": outcome}
    if isinstance(outcome, ChainError):
        return _failure(request.id, outcome)
    _LOG.error("chain_request_failed", method=request.name, exc_info=outcome)
    error = {"code": _INTERNAL_ERROR, "message": "internal error"}
    return {"jsonrpc": "2.0", "id": request.id, "error": error}


def _failure(request_id: str | float | None, error: ChainError) -> Answer:
    details: Answer = {"code": error.code, "message": error.message}
    if error.data is not None:
        details["data"] = error.data
    return {"jsonrpc": "2.0", "id": request_id, "error": details}


def _parse(chain: EmbeddedChain, payload: Any) -> "Request | Answer":
    if not isinstance(payload, dict):
        return _failure(None, InvalidRequestError("a request is an object"))
    request_id = payload.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | float | None):
        return _failure(None, InvalidRequestError("an id is a string, a number or null"))
    name, parameters = payload.get("method"), payload.get("params", [])
    if payload.get("jsonrpc") != "2.0" or not isinstance(name, str):
        return _failure(request_id, InvalidRequestError("a request has jsonrpc 2.0 and a method"))
    try:
        if not isinstance(parameters, list):
            raise InvalidParamsError("parameters are given by position, in an array")
        method = _find(chain, name)
    except ChainError as error:
        return _failure(request_id, error)
    return Request(request_id, "id" in payload, method, parameters, name)


def _find(chain: EmbeddedChain, name: str) -> Method:
    method = METHODS.get(name)
    if method is None or (method.development and not chain.config.development):
        raise MethodNotFoundError(f"the method {name} does not exist/is not available")
    return method
