"""The transaction of repeatable writes: keys claimed, effects, answers kept. One request or many, the same way.

Only successes are stored, in the transaction of their effect. A refusal changed nothing, so its repetition is
judged anew: tokens may have arrived meanwhile.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import psycopg
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError

from mereau.auth import repository
from mereau.auth.domain import Principal
from mereau.auth.errors import IdempotencyInFlightError, IdempotencyKeyReusedError
from mereau.auth.repository import Answer, Claim
from mereau.core.db import WriteSession, transaction
from mereau.core.errors import MereauError
from mereau.core.http import Site

_ATTEMPTS_MAX: Final = 3
# What another transaction's timing did, not this request: running again is right.
_PASSING: Final = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
)

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked(Generic[Body]):
    """One request under its Idempotency-Key; `digest` identifies what it means."""

    caller: Principal
    key: str
    digest: bytes
    body: Body

    @property
    def name(self) -> tuple[str, str]:
        return self.caller.key_id, self.key


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write answers, and with which status."""

    model: BaseModel
    status: int = 201


Effect = Callable[[WriteSession, Sequence[Asked[Any]], datetime], Awaitable[Sequence[Outcome | MereauError]]]
"""Writes for several requests at an instant; what it refuses, it has not written anything for."""


async def answer_all(site: Site, asked: Sequence[Asked[Any]], effect: Effect) -> list[Answer | MereauError]:
    """The answer or refusal of each request, in one committed transaction; stored answers where there are some.

    Raises, and writes nothing at all, what the effect raises, and IdempotencyInFlightError where a rival has
    just stored an answer. The effect may run again from the start where another transaction crossed it.
    """
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        try:
            return await _attempt(site, asked, effect)
        except DBAPIError as error:
            # Where the connection died in the commit, the next attempt finds the answer, or nothing at all.
            if attempt == _ATTEMPTS_MAX or not (error.connection_invalidated or isinstance(error.orig, _PASSING)):
                raise
    raise AssertionError("the last attempt returns or raises")


async def _attempt(site: Site, asked: Sequence[Asked[Any]], effect: Effect) -> list[Answer | MereauError]:
    async with transaction(site.engine, "accept") as session:
        claims = await repository.claim(session, [(lock_of(*item.name), *item.name) for item in asked])
        answers = [_before(item, claim) for item, claim in zip(asked, claims, strict=True)]
        _refuse_twins(asked, answers)
        fresh = [place for place, answer in enumerate(answers) if answer is None]
        if fresh:
            outcomes = await effect(session, [asked[place] for place in fresh], site.clock.now())
            for place, outcome in zip(fresh, outcomes, strict=True):
                answers[place] = _written(outcome)
            await _keep(session, asked, [(place, answers[place]) for place in fresh])
    return [answer for answer in answers if answer is not None]


def _before(item: Asked[Any], claim: Claim) -> Answer | MereauError | None:
    """What is to be said before anything is done; None where it is to be done."""
    if claim.answer is not None:
        if claim.request_digest != item.digest:
            return IdempotencyKeyReusedError("Each request has a key of its own; this one named something else.")
        return claim.answer
    if not claim.locked:
        return IdempotencyInFlightError("Wait for its answer, then repeat with the same key.")
    return None


def _refuse_twins(asked: Sequence[Asked[Any]], answers: list[Answer | MereauError | None]) -> None:
    """Of requests under one key that came together, the first is in flight for the others."""
    seen = set()
    for place, item in enumerate(asked):
        if answers[place] is None and item.name in seen:
            answers[place] = IdempotencyInFlightError("Wait for its answer, then repeat with the same key.")
        seen.add(item.name)


def _written(outcome: Outcome | MereauError) -> Answer | MereauError:
    if isinstance(outcome, MereauError):
        return outcome
    return Answer(outcome.status, outcome.model.__pydantic_serializer__.to_json(outcome.model))


async def _keep(
    session: WriteSession, asked: Sequence[Asked[Any]], answers: Sequence[tuple[int, Answer | MereauError | None]]
) -> None:
    kept = [
        (*asked[place].name, asked[place].digest, answer.status, answer.body)
        for place, answer in answers
        if isinstance(answer, Answer)
    ]
    if kept and await repository.keep(session, kept) < len(kept):
        # A rival finished between our look and our lock: roll back, its answer is there now.
        raise IdempotencyInFlightError("The same request has just finished; repeat with the same key.")


def lock_of(api_key_id: str, key: str) -> int:
    """A 64-bit advisory lock; two keys that meet in it only wait as if they were one."""
    digest = hashlib.blake2b(f"{api_key_id}\n{key}".encode(), digest_size=8, person=b"mereau-idem").digest()
    return int.from_bytes(digest, signed=True)
