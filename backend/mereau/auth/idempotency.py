"""Writes that can be repeated: the same key and request answer the same, and the effect happens once.

Only successes are stored, in the transaction of their effect. A refusal changed nothing, so its repetition is
judged anew: tokens may have arrived meanwhile.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

import orjson
import psycopg
from fastapi import Depends, Header
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.responses import Response

from mereau.auth import repository
from mereau.auth.domain import Principal
from mereau.auth.errors import (
    IdempotencyInFlightError,
    IdempotencyKeyInvalidError,
    IdempotencyKeyMissingError,
    IdempotencyKeyReusedError,
)
from mereau.auth.repository import Claim
from mereau.core.db import WriteSession, transaction
from mereau.core.http import Site, site_of

KEY_CHARS_MAX: Final = 255
_ATTEMPTS_MAX: Final = 3
# What another transaction's timing did, not this request: running again is right.
_PASSING: Final = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write answers, and with which status."""

    model: BaseModel
    status: int = 201


Effect = Callable[[WriteSession], Awaitable[Outcome]]


class Idempotent:
    """Runs one effect under the request's Idempotency-Key."""

    def __init__(self, site: Site, key: str | None, operation: str) -> None:
        self.site = site
        self.key = key
        self.operation = operation

    async def run(self, caller: Principal, body: BaseModel, effect: Effect, *, location: str | None = None) -> Response:
        """The answer of `effect`, or the stored one; committed before it is returned.

        `location` is a path to which the `id` of the answer is appended for the Location header. Raises the
        refusals of auth.errors. An effect may run again from the start where another transaction crossed it.
        """
        key = self._checked_key()
        digest = self._digest(body)
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            try:
                return await self._attempt(caller.key_id, key, digest, effect, location)
            except DBAPIError as error:
                if attempt == _ATTEMPTS_MAX or not isinstance(error.orig, _PASSING):
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(
        self, api_key_id: str, key: str, digest: bytes, effect: Effect, location: str | None
    ) -> Response:
        async with transaction(self.site.engine, "accept") as session:
            lock = _lock_of(api_key_id, key)
            claim = await repository.claim(session, lock=lock, api_key_id=api_key_id, key=key)
            if claim.status is not None and claim.body is not None:
                return _replay(claim.status, claim.body, claim, digest, location)
            if not claim.locked:
                raise IdempotencyInFlightError("Wait for its answer, then repeat with the same key.")
            outcome = await effect(session)
            content = outcome.model.__pydantic_serializer__.to_json(outcome.model)
            kept = await repository.keep(
                session,
                api_key_id=api_key_id,
                key=key,
                request_digest=digest,
                status=outcome.status,
                body=content,
            )
            if not kept:
                # A rival finished between our look and our lock: roll back, its answer is there now.
                raise IdempotencyInFlightError("The same request has just finished; repeat with the same key.")
        return _respond(outcome.status, content, location)

    def _checked_key(self) -> str:
        if self.key is None:
            raise IdempotencyKeyMissingError("This write moves tokens: send an Idempotency-Key of your own.")
        if not (1 <= len(self.key) <= KEY_CHARS_MAX and self.key.isascii() and self.key.isprintable()):
            raise IdempotencyKeyInvalidError(f"1 to {KEY_CHARS_MAX} printable ASCII characters are expected.")
        return self.key

    def _digest(self, body: BaseModel) -> bytes:
        """Identifies a request by what it means: spacing and the order of keys do not matter."""
        content = body.__pydantic_serializer__.to_json(body)
        return hashlib.sha256(self.operation.encode() + b"\n" + content).digest()


async def _idempotent(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Your number for this request: repeat it with the same key to learn its answer.",
            examples=["sale-2026-11-23-000123"],
        ),
    ] = None,
) -> Idempotent:
    return Idempotent(site_of(request), idempotency_key, f"{request.method} {request.scope['path']}")


Once = Annotated[Idempotent, Depends(_idempotent)]


def _lock_of(api_key_id: str, key: str) -> int:
    """A 64-bit advisory lock; two keys that meet in it only wait as if they were one."""
    digest = hashlib.blake2b(f"{api_key_id}\n{key}".encode(), digest_size=8, person=b"mereau-idem").digest()
    return int.from_bytes(digest, signed=True)


def _replay(status: int, body: bytes, claim: Claim, digest: bytes, location: str | None) -> Response:
    if claim.request_digest != digest:
        raise IdempotencyKeyReusedError("Each request has a key of its own; this one named something else.")
    response = _respond(status, body, location)
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _respond(status: int, content: bytes, location: str | None) -> Response:
    headers = {} if location is None else {"Location": f"{location}/{orjson.loads(content)['id']}"}
    return Response(content, status_code=status, media_type="application/json", headers=headers)
