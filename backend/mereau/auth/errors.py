"""Refusals of authentication and idempotency."""

from typing import ClassVar

from mereau.core.errors import ConflictError, ForbiddenError, InvalidInputError, MalformedError


class MissingScopeError(ForbiddenError):
    """The key is valid and lacks the scope, or its role can never have it."""

    code, title = "missing_scope", "The key lacks a scope"


class ExcessiveScopeError(ForbiddenError):
    """A key was asked for that could do more than its granter or its role."""

    code, title = "excessive_scope", "A key cannot grant more than it holds"


class IdempotencyKeyMissingError(MalformedError):
    """Writes that move tokens must be repeatable."""

    code, title = "idempotency_key_missing", "Idempotency-Key is required"


class IdempotencyKeyInvalidError(MalformedError):
    """The header is there, but is no such key."""

    code, title = "idempotency_key_invalid", "Idempotency-Key is not valid"


class IdempotencyKeyReusedError(InvalidInputError):
    """The key stands for another request."""

    code, title = "idempotency_key_reused", "Idempotency-Key was used for another request"


class IdempotencyInFlightError(ConflictError):
    """The first request with this key is not finished."""

    code, title = "idempotency_in_flight", "The same request is still running"
    retry_after_s: ClassVar[int] = 1
