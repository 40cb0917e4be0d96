"""Recording what members do, each once, and crediting what it earns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.earning.actions import repository
from mereau.earning.actions.domain import (
    BUILT_IN,
    RESERVED,
    ActionDraft,
    FieldSpec,
    attribute_findings,
    inputs_digest,
    read_field,
    time_finding,
)
from mereau.earning.actions.models import Action, EventSchema
from mereau.earning.crediting.service import award
from mereau.earning.errors import RecordedOtherwiseError
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.journal import service as journal
from mereau.members import queries as members

__all__ = ["ActionDraft", "RecordedAction", "actions_of", "perform", "register_schema", "schemas"]


@dataclass(frozen=True, slots=True)
class RecordedAction:
    """An action that stands in the books; `duplicate` when it already stood there before this call."""

    action: Action
    duplicate: bool = False


async def register_schema(
    session: WriteSession, name: str, fields: Sequence[FieldSpec], now: datetime, *, actor: str
) -> EventSchema:
    """The next version of a custom event; events from now on are judged by it. The newest again adds none.

    InvalidInputError for a name that the programme uses itself, and for fields named twice.
    """
    errors = []
    if name in RESERVED:
        errors.append(FieldError("/name", "reserved", "The programme uses this name itself."))
    names = [field.name for field in fields]
    errors += [
        FieldError(f"/fields/{i}/name", "repeated", "The name stands twice.")
        for i, known in enumerate(names)
        if known in names[:i]
    ]
    if errors:
        raise InvalidInputError("The event schema is not valid.", errors=errors)
    await repository.lock_schemas(session)
    newest = await repository.newest_schema(session, name)
    stored = [field.to_dict() for field in fields]
    if newest is not None and newest.fields == stored:
        return newest
    schema = EventSchema(
        id=new_id("evs", now), name=name, version=newest.version + 1 if newest else 1, fields=stored, created_at=now
    )
    await repository.add_schema(session, schema)
    detail = {"name": name, "version": schema.version}
    await journal.record(
        session, at=now, actor=actor, action="event_schema.registered", subject_id=schema.id, detail=detail
    )
    return schema


async def schemas(session: ReadSession | WriteSession, before_id: str | None, limit: int) -> Sequence[EventSchema]:
    """All versions of all schemas, the newest first."""
    return await repository.schemas_before(session, before_id, limit)


async def perform(session: WriteSession, draft: ActionDraft, now: datetime, *, actor: str) -> RecordedAction:
    """Record an action and credit what it earns, in the caller's transaction.

    Idempotent by (source, external id), for ever: the same content again gives the recorded action with
    `duplicate`, other content a RecordedOtherwiseError. NotFoundError for a member who is not active;
    InvalidInputError for an unknown type, for attributes that its schema does not allow, and for a time too far off.
    Waits for a running twin; locks what `award` locks.
    """
    known = await members.active_members(session, [draft.member_id], [])
    if draft.member_id not in known.ids:
        raise NotFoundError("There is no such member.")
    recorded = await repository.by_reference(session, draft.source, draft.external_id)
    digest = inputs_digest(draft)
    if recorded is not None:
        return _same(recorded, digest)
    version = await _check(session, draft, now)
    action = Action(
        id=new_id("act", now),
        member_id=draft.member_id,
        partner_id=draft.partner_id,
        source=draft.source,
        external_id=draft.external_id,
        type=draft.type,
        schema_version=version,
        occurred_at=draft.occurred_at,
        attributes=dict(draft.attributes),
        inputs_digest=digest,
        tokens=0,
        created_at=now,
    )
    if not await repository.insert_action(session, action):
        twin = await repository.by_reference(session, draft.source, draft.external_id)
        if twin is None:
            raise AssertionError("what stood in the way of an insert is visible after it")
        return _same(twin, digest)
    (awarded,) = await award(session, [_occasion(action, draft)], now)
    detail = {"type": draft.type, "external_id": draft.external_id, "tokens": awarded.tokens}
    await journal.record(session, at=now, actor=actor, action="action.recorded", subject_id=action.id, detail=detail)
    return RecordedAction(await repository.set_tokens(session, action.id, awarded.tokens))


def _same(recorded: Action, digest: bytes) -> RecordedAction:
    if recorded.inputs_digest != digest:
        raise RecordedOtherwiseError(
            f"The action {recorded.external_id} is already recorded with other content, as {recorded.id}."
        )
    return RecordedAction(recorded, duplicate=True)


async def _check(session: WriteSession, draft: ActionDraft, now: datetime) -> int | None:
    """The version of the schema that the action keeps to; None for the actions that every programme knows."""
    errors = []
    if (late := time_finding(draft.occurred_at, now)) is not None:
        errors.append(late)
    version = None
    if draft.type not in BUILT_IN:
        schema = None if draft.type in RESERVED else await repository.newest_schema(session, draft.type)
        if schema is None:
            errors.append(FieldError("/type", "unknown", "Neither an action of every programme nor a known event."))
        else:
            version = schema.version
            errors += attribute_findings([read_field(field) for field in schema.fields], draft.attributes)
    if errors:
        raise InvalidInputError("The action is not valid.", errors=errors)
    return version


def _occasion(action: Action, draft: ActionDraft) -> Occasion:
    attributes = dict(draft.attributes)
    if draft.type not in BUILT_IN:
        attributes["event"] = draft.type
    return Occasion(
        trigger=draft.trigger,
        occurred_at=draft.occurred_at,
        member=MemberFacts(draft.member_id),
        source_id=action.id,
        source_reference=draft.external_id,
        partner_id=draft.partner_id,
        attributes=attributes,
    )


async def actions_of(
    session: ReadSession | WriteSession, member_id: str, partner_id: str | None, before_id: str | None, limit: int
) -> Sequence[Action]:
    """A member's actions, the last handed in first; only those of `partner_id` where one is named."""
    return await repository.of_member(session, member_id, partner_id, before_id, limit)
