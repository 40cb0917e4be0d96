"""Every refusal as a problem document (RFC 9457), from whichever layer it came."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final

import orjson
import psycopg
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from mereau.core.errors import (
    ConflictError,
    FieldError,
    InvalidInputError,
    MereauError,
    NotFoundError,
    UnavailableError,
)
from mereau.core.strict_json import escape_pointer

MEDIA_TYPE: Final = "application/problem+json"
ERRORS_MAX: Final = 50
_RETRY_AFTER_S: Final = 1
log: Final = structlog.get_logger(__name__)


class PayloadTooLargeError(MereauError):
    """The body is longer than this route reads."""

    status, code, title = 413, "payload_too_large", "The body is too large"


class UnsupportedMediaTypeError(MereauError):
    """The body is not plain JSON."""

    status, code, title = 415, "unsupported_media_type", "Only application/json is read"


class BodyTimeoutError(MereauError):
    """The body did not arrive in time."""

    status, code, title = 408, "body_timeout", "The body did not arrive in time"


class MethodNotAllowedError(MereauError):
    """The path exists, the method does not."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class _InternalError(MereauError):
    retry_after_s: ClassVar[int | None] = None


def findings(errors: Sequence[ErrorDetails | dict[str, Any]], *, skip: int = 0) -> list[FieldError]:
    """Validation errors of pydantic as findings with JSON pointers; what was sent is not repeated."""
    return [
        FieldError(
            "".join(f"/{escape_pointer(str(token))}" for token in error["loc"][skip:]),
            str(error["type"]),
            str(error["msg"]),
        )
        for error in errors[:ERRORS_MAX]
    ]


def problem_response(
    scope: Scope, error: MereauError, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The problem document of one refusal, with the headers that belong to its status."""
    request_id = str(scope.get("state", {}).get("request_id", ""))
    body = {
        "type": f"urn:mereau:problem:{error.code}",
        "title": error.title,
        "status": status or error.status,
        "detail": error.detail,
        "code": error.code,
        "errors": [{"pointer": found.pointer, "code": found.code, "detail": found.detail} for found in error.errors],
        "request_id": request_id,
        # A path may hold bytes that are no text; the document stays UTF-8.
        "instance": scope["path"].encode("utf-8", "replace").decode(),
    }
    return Response(
        orjson.dumps(body),
        status_code=status or error.status,
        media_type=MEDIA_TYPE,
        headers={**_headers_of(error), **(headers or {})},
    )


def internal_problem(scope: Scope) -> Response:
    """What a caller sees of a bug: nothing but the number under which the log has it."""
    return problem_response(scope, _InternalError("This is our mistake. The log has it under this request_id."))


def _headers_of(error: MereauError) -> dict[str, str]:
    retry_after_s = getattr(error, "retry_after_s", _RETRY_AFTER_S if isinstance(error, UnavailableError) else None)
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    if error.status == HTTPStatus.UNAUTHORIZED:  # RFC 9110, section 11.6.1
        headers["WWW-Authenticate"] = 'Bearer realm="mereau"'
    return headers


def from_database(error: Exception) -> MereauError | None:
    """What a failure of the database means for the caller; None where it is a bug of ours."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, PoolTimeoutError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return UnavailableError("The database does not answer. Try again.")
    # Operational errors are lost connections, shutdowns, deadlocks, time limits: repeating is right.
    if isinstance(cause, psycopg.OperationalError):
        return UnavailableError("The database could not finish this now. Try again.")
    if isinstance(cause, psycopg.errors.UniqueViolation):
        return ConflictError("Another request wrote the same object at the same moment. Read it, or try again.")
    return None


async def _on_mereau_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, MereauError):
        raise error
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, UnavailableError):
        log.error("request refused by a fault", code=error.code, detail=error.detail)
    return problem_response(request.scope, error)


async def _on_database_error(request: Request, error: Exception) -> Response:
    meaning = from_database(error)
    if meaning is None:
        raise error
    log.warning("database error", meaning=meaning.code, error=type(error).__name__)
    return problem_response(request.scope, meaning)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        refusal: MereauError = MethodNotAllowedError("This path does not take this method.")
        headers = {"Allow": ", ".join(_methods_of(request))}
    elif error.status_code == HTTPStatus.NOT_FOUND:
        refusal = NotFoundError("There is nothing at this path.")
    else:
        refusal = InvalidInputError(str(error.detail))
    return problem_response(request.scope, refusal, status=error.status_code, headers=headers)


def _methods_of(request: Request) -> list[str]:
    """Every method that the path takes (RFC 9110, section 15.5.6); the framework names one route's alone."""
    methods: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        if context.path_regex.match(request.scope["path"]):
            methods |= context.methods or set()
    return sorted(methods)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    # Only parameters pass through the framework's validation; their place is a name, not a pointer.
    errors = [
        FieldError(str(item["loc"][-1]), str(item["type"]), str(item["msg"])) for item in error.errors()[:ERRORS_MAX]
    ]
    return problem_response(request.scope, InvalidInputError("A parameter does not fit; see errors.", errors=errors))


def install(app: FastAPI) -> None:
    """Register the handlers; what none of them takes is a bug and goes to the boundary."""
    app.add_exception_handler(MereauError, _on_mereau_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(SQLAlchemyError, _on_database_error)
    app.add_exception_handler(psycopg.Error, _on_database_error)
