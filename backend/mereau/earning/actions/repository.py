"""SQL of actions and event schemas."""

from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.actions.models import Action, EventSchema

_SCHEMAS_LOCK = text("select pg_advisory_xact_lock(hashtextextended('mereau.earning.event_schemas', 0))")


async def lock_schemas(session: WriteSession) -> None:
    await session.execute(_SCHEMAS_LOCK)


async def newest_schema(session: ReadSession | WriteSession, name: str) -> EventSchema | None:
    query = select(EventSchema).where(EventSchema.name == name).order_by(EventSchema.version.desc()).limit(1)
    return await session.scalar(query)


async def add_schema(session: WriteSession, schema: EventSchema) -> None:
    session.add(schema)
    await session.flush()


async def schemas_before(
    session: ReadSession | WriteSession, before_id: str | None, limit: int
) -> Sequence[EventSchema]:
    query = select(EventSchema).order_by(EventSchema.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(EventSchema.id < before_id)
    return (await session.scalars(query)).all()


async def insert_action(session: WriteSession, action: Action) -> bool:
    """Whether the action is new; waits for a running twin, which is visible afterwards."""
    values = {column.name: getattr(action, column.name) for column in Action.__table__.columns}
    statement = insert(Action).values(values).on_conflict_do_nothing(index_elements=["source", "external_id"])
    return await session.scalar(statement.returning(Action.id)) is not None


async def by_reference(session: WriteSession, source: str, external_id: str) -> Action | None:
    return await session.scalar(select(Action).where(Action.source == source, Action.external_id == external_id))


async def set_tokens(session: WriteSession, action_id: str, tokens: int) -> Action:
    action = (await session.scalars(select(Action).where(Action.id == action_id))).one()
    action.tokens = tokens
    await session.flush()
    return action


async def of_member(
    session: ReadSession | WriteSession, member_id: str, partner_id: str | None, before_id: str | None, limit: int
) -> Sequence[Action]:
    """A member's actions, the last handed in first; for a partner those that it handed in."""
    query = select(Action).where(Action.member_id == member_id).order_by(Action.id.desc()).limit(limit)
    if partner_id is not None:
        query = query.where(Action.partner_id == partner_id)
    if before_id is not None:
        query = query.where(Action.id < before_id)
    return (await session.scalars(query)).all()
