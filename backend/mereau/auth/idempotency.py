"""Idempotency-Key at the door: the same key and request answer the same, and the effect happens once.

An endpoint runs its write alone (`run`), or together with those that come at the same time (`run_together`).
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, Header
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from mereau.auth import once
from mereau.auth.domain import Principal
from mereau.auth.errors import IdempotencyKeyInvalidError, IdempotencyKeyMissingError
from mereau.auth.once import Asked, Effect, Outcome
from mereau.auth.repository import Answer
from mereau.core.db import WriteSession
from mereau.core.errors import MereauError
from mereau.core.gathering import Gathering
from mereau.core.http import Site, site_of

KEY_CHARS_MAX: Final = 255
GROUP_MAX: Final = 100
"""So many requests share a transaction at most: locks are held briefly, and a group that fails is soon redone."""

EffectAlone = Callable[[WriteSession], Awaitable[Outcome]]
"""Writes for the one request that it was made for; refuses by raising."""


class Groups:
    """The requests of one process that are written together, by their effect."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._gatherings: dict[Effect, Gathering[Asked[Any], Answer]] = {}

    def of(self, effect: Effect) -> Gathering[Asked[Any], Answer]:
        if effect not in self._gatherings:

            async def work(asked: Sequence[Asked[Any]]) -> Sequence[Answer | Exception]:
                return await once.answer_all(self._site, asked, effect)

            self._gatherings[effect] = Gathering(work, GROUP_MAX)
        return self._gatherings[effect]


class Idempotent:
    """Runs one write under the request's Idempotency-Key."""

    def __init__(self, site: Site, groups: Groups, key: str | None, operation: str) -> None:
        self.site = site
        self.groups = groups
        self.key = key
        self.operation = operation

    async def run(
        self, caller: Principal, body: BaseModel, effect: EffectAlone, *, location: str | None = None
    ) -> Response:
        """The answer of `effect`, or the stored one; committed before it is returned.

        `location` is a path to which the `id` of the answer is appended for the Location header. Raises the
        refusals of auth.errors. An effect may run again from the start where another transaction crossed it.
        """

        async def alone(session: WriteSession, *_: object) -> list[Outcome | MereauError]:
            return [await effect(session)]

        (answer,) = await once.answer_all(self.site, [self._asked(caller, body)], alone)
        if isinstance(answer, MereauError):
            raise answer
        return _respond(answer, location)

    async def run_together(self, caller: Principal, body: BaseModel, effect: Effect) -> Response:
        """As `run`, in one transaction with the requests that came for the same effect meanwhile."""
        return _respond(await self.groups.of(effect).bring(self._asked(caller, body)), None)

    def _asked(self, caller: Principal, body: BaseModel) -> Asked[Any]:
        """Two requests that mean the same have the same digest: spacing and the order of keys do not matter."""
        content = body.__pydantic_serializer__.to_json(body)
        digest = hashlib.sha256(self.operation.encode() + b"\n" + content).digest()
        return Asked(caller, self._checked_key(), digest, body)

    def _checked_key(self) -> str:
        if self.key is None:
            raise IdempotencyKeyMissingError("This write moves tokens: send an Idempotency-Key of your own.")
        if not (1 <= len(self.key) <= KEY_CHARS_MAX and self.key.isascii() and self.key.isprintable()):
            raise IdempotencyKeyInvalidError(f"1 to {KEY_CHARS_MAX} printable ASCII characters are expected.")
        return self.key


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
    groups = request.app.state.groups
    if not isinstance(groups, Groups):
        raise TypeError("create_app sets the groups")
    return Idempotent(site_of(request), groups, idempotency_key, f"{request.method} {request.scope['path']}")


Once = Annotated[Idempotent, Depends(_idempotent)]


def _respond(answer: Answer, location: str | None) -> Response:
    headers = {} if location is None else {"Location": f"{location}/{orjson.loads(answer.body)['id']}"}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer.body, status_code=answer.status, media_type="application/json", headers=headers)
