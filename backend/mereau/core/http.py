"""What every endpoint uses: the site it runs on, sessions, strict bodies, pages and answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import orjson
from fastapi import Depends, Query
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mereau.core import ids
from mereau.core.clock import Clock
from mereau.core.db import ReadSession, WriteSession, transaction
from mereau.core.errors import InvalidInputError, MalformedError, NotFoundError
from mereau.core.pagination import LIMIT_DEFAULT, LIMIT_MAX, Page, PageQuery, decode_cursor, encode_cursor
from mereau.core.problems import (
    MEDIA_TYPE,
    BodyTimeoutError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
    findings,
)
from mereau.core.schemas import parse_instant
from mereau.core.strict_json import parse

V1: Final = "/api/v1"
"""Prefix of every path of version 1."""
BODY_BYTES_MAX: Final = 64 * 1024
BATCH_BODY_BYTES_MAX: Final = 2 * 1024 * 1024
BODY_TIMEOUT_S: Final = 15.0
RAW_BODY_TIMEOUT_S: Final = 120.0

Model = TypeVar("Model", bound=BaseModel)
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Site:
    """What a process serves from. `reads` is the same database without a transaction around each statement."""

    engine: AsyncEngine
    reads: AsyncEngine
    clock: Clock

    async def close(self) -> None:
        """Close the connections, after the last request."""
        await self.engine.dispose()
        await self.reads.dispose()


def make_site(engine: AsyncEngine, clock: Clock) -> Site:
    """A site on an engine that stays the caller's, for transactions and reads alike."""
    return Site(engine, engine.execution_options(isolation_level="AUTOCOMMIT"), clock)


def site_of(request: Request) -> Site:
    """The site of the application that serves this request."""
    site = request.app.state.site
    if not isinstance(site, Site):
        raise TypeError("create_app sets the site")
    return site


async def _site(request: Request) -> Site:
    return site_of(request)


async def _read_session(request: Request) -> AsyncIterator[ReadSession]:
    async with AsyncSession(site_of(request).reads, expire_on_commit=False) as session:
        yield ReadSession(session)


async def _write_session(request: Request) -> AsyncIterator[WriteSession]:
    async with transaction(site_of(request).engine, "accept") as session:
        yield session


# Scope "function" ends the transaction before the answer leaves: nobody is told of what may still roll back.
SiteHere = Annotated[Site, Depends(_site)]
Reads = Annotated[ReadSession, Depends(_read_session, scope="function")]
Writes = Annotated[WriteSession, Depends(_write_session, scope="function")]


class JsonBody(Generic[Model]):
    """A dependency that reads a strict JSON body into `model`.

    Stands behind the caller's parameter in an endpoint, so that nobody unknown has a body parsed.
    """

    def __init__(self, model: type[Model], bytes_max: int) -> None:
        self.model = model
        self.bytes_max = bytes_max

    async def __call__(self, request: Request) -> Model:
        value = parse(await _read(request, self.bytes_max))
        try:
            return self.model.model_validate(value)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False, include_context=False)
            placed = [{**detail, "loc": _place(value, detail)} for detail in details]
            raise InvalidInputError("The body does not fit; see errors.", errors=findings(placed)) from None


class RawBody:
    """A dependency that reads a body as it is, whatever it is said to be. Stands where a `JsonBody` would."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max

    async def __call__(self, request: Request) -> bytes:
        _require_plain(request)
        return await _received(request, self.bytes_max, RAW_BODY_TIMEOUT_S)


def raw_body(bytes_max: int) -> Any:
    """Mark an endpoint's parameter as its body, byte for byte."""
    return Depends(RawBody(bytes_max))


def _place(body: Any, detail: ErrorDetails) -> tuple[int | str, ...]:
    """Where in the body a finding is: validation also names the kind that it took a document for."""
    place, last = [], len(detail["loc"]) - 1
    for position, token in enumerate(detail["loc"]):
        if isinstance(body, dict) and token not in body and not (position == last and detail["type"] == "missing"):
            continue
        place.append(token)
        if isinstance(body, dict):
            body = body.get(token)
        elif isinstance(body, list) and isinstance(token, int) and token < len(body):
            body = body[token]
    return tuple(place)


def json_body(model: type[BaseModel], *, bytes_max: int = BODY_BYTES_MAX) -> Any:
    """Mark an endpoint's parameter as its body, read into `model`."""
    return Depends(JsonBody(model, bytes_max))


async def _read(request: Request, bytes_max: int) -> bytes:
    headers = request.headers
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}:
        raise UnsupportedMediaTypeError("Send the body as application/json in UTF-8.")
    _require_plain(request)
    return await _received(request, bytes_max, BODY_TIMEOUT_S)


def _require_plain(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaTypeError("Send the body without content encoding.")


async def _received(request: Request, bytes_max: int, timeout_s: float) -> bytes:
    length = request.headers.get("content-length", "0")
    # More digits than any limit has: int() would do work on a hostile figure.
    if len(length) > len(str(bytes_max)) or (length.isdecimal() and int(length) > bytes_max):
        raise _too_large(bytes_max)
    chunks = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > bytes_max:
                    raise _too_large(bytes_max)
    except TimeoutError:
        raise BodyTimeoutError(f"The body did not arrive within {timeout_s:.0f} s.") from None
    except ClientDisconnect:
        raise MalformedError("The connection ended within the body.") from None
    return bytes(chunks)


def _too_large(bytes_max: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The body may have {bytes_max} bytes at most.")


def _digits(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise PydanticCustomError("int_parsing", "Decimal digits are expected")
    return value


async def _page_query(
    limit: Annotated[
        int, BeforeValidator(_digits), Query(ge=1, le=LIMIT_MAX, description="Rows on this page.")
    ] = LIMIT_DEFAULT,
    cursor: Annotated[
        str | None, Query(min_length=1, max_length=200, description="next_cursor of the page before.")
    ] = None,
) -> PageQuery:
    return PageQuery(limit, None if cursor is None else decode_cursor(cursor))


Paging = Annotated[PageQuery, Depends(_page_query)]

InstantQuery = Annotated[
    datetime | None, BeforeValidator(lambda value: None if value is None else parse_instant(value))
]
"""An optional instant in a query string, RFC 3339."""


def known_id(prefix: str, text: str) -> str:
    """`text` where it has the form of such an id. Raises NotFoundError otherwise: it cannot exist."""
    if not ids.is_id(prefix, text):
        raise not_found(prefix)
    return text


_KINDS: Final = {
    "mem": "member", "par": "partner", "sal": "sale", "rwd": "reward", "red": "redemption", "bat": "batch",
    "rul": "earning rule", "key": "API key", "ent": "entry", "loc": "location", "stf": "member of staff",
    "seg": "segment", "tst": "draft of tiers", "adj": "adjustment",
}  # fmt: skip


def not_found(prefix: str) -> NotFoundError:
    """The one answer for objects that do not exist and for those that the caller may not see."""
    return NotFoundError(f"There is no such {_KINDS.get(prefix, 'object')}.")


def answer(model: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response without the framework's second validation: the model is the schema."""
    return Response(
        model.__pydantic_serializer__.to_json(model),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


def answer_page(page: Page[Row], show: Callable[[Row], BaseModel]) -> Response:
    """A list response {data, has_more, next_cursor}."""
    after = page.next_after
    return Response(
        orjson.dumps(
            {
                "data": [orjson.Fragment(_json(show(row))) for row in page.rows],
                "has_more": after is not None,
                "next_cursor": None if after is None else encode_cursor(after),
            }
        ),
        media_type="application/json",
    )


def _json(model: BaseModel) -> bytes:
    return model.__pydantic_serializer__.to_json(model)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of an endpoint: the problem documents that it may answer with."""
    schema = {"$ref": "#/components/schemas/Problem"}
    texts = {
        400: "The request cannot be read.", 401: "No valid API key.", 403: "The key may not do this.",
        404: "No such object, or none that this key may see.", 408: "The body did not arrive in time.",
        409: "Conflict with the present state.", 413: "The body is too large.",
        415: "The body is not application/json.", 422: "The request is not valid.",
        429: "The key has used up its rate; see Retry-After.",
        503: "A part that this needs does not answer; see Retry-After.",
    }  # fmt: skip
    return {
        status: {"description": texts[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({401, 403, 429, 503, *statuses})
    }


BODY_PROBLEMS: Final = (400, 408, 413, 415, 422)
