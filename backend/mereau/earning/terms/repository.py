"""SQL of the terms."""

from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.terms.domain import Terms
from mereau.earning.terms.models import EarningTerms

_COLUMNS = [getattr(EarningTerms, name) for name in Terms.__slots__]


async def find(session: ReadSession | WriteSession) -> Terms | None:
    row = (await session.execute(select(*_COLUMNS))).one_or_none()
    return None if row is None else Terms(*row)


async def replace(session: WriteSession, terms: Terms) -> None:
    values = asdict(terms)
    statement = insert(EarningTerms).values(id=1, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
