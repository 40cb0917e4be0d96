"""Errors that a caller can act on. Each class is one stable `code` of the API (RFC 9457 problems)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One finding in a request; `pointer` is a JSON pointer (RFC 6901) into the body, or a parameter name."""

    pointer: str
    code: str
    detail: str


class MereauError(Exception):
    """Base of all refusals. `status` is the HTTP status, `code` never changes once released."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class InvalidInputError(MereauError):
    """The request is well-formed but says something that cannot be."""

    status, code, title = 422, "invalid_input", "The request is not valid"


class MalformedError(MereauError):
    """The request cannot be read at all."""

    status, code, title = 400, "malformed", "The request cannot be read"


class UnauthenticatedError(MereauError):
    """No credential, or one that is unknown, expired or revoked."""

    status, code, title = 401, "unauthenticated", "Authentication is required"


class ForbiddenError(MereauError):
    """The caller is known and may not do this."""

    status, code, title = 403, "forbidden", "Not allowed"


class NotFoundError(MereauError):
    """No such object, or none that the caller may see: the two are told apart nowhere."""

    status, code, title = 404, "not_found", "Not found"


class ConflictError(MereauError):
    """The request contradicts the present state."""

    status, code, title = 409, "conflict", "Conflict with the present state"


class TooManyRequestsError(MereauError):
    """The caller has used up its rate; `retry_after_s` says when there is more."""

    status, code, title = 429, "too_many_requests", "Too many requests"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class UnavailableError(MereauError):
    """A part that the request needs does not answer; trying again later is right."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"


class ConfigurationError(MereauError):
    """The installation is set up in a way that must not run; the text says what to change."""

    code, title = "configuration", "The installation must be mended"
