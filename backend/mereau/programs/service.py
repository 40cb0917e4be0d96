"""The one programme of an installation."""

from dataclasses import asdict
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConfigurationError, ConflictError, InvalidInputError
from mereau.core.ids import new_id
from mereau.programs import domain, repository
from mereau.programs.domain import ProgramDraft
from mereau.programs.models import Program

__all__ = ["ProgramDraft", "create", "current"]


async def create(session: WriteSession, draft: ProgramDraft, now: datetime) -> Program:
    """Create the programme. InvalidInputError names wrong fields; ConflictError where there is one."""
    if errors := list(domain.findings(draft)):
        raise InvalidInputError("The programme is not valid.", errors=errors)
    await repository.lock(session)
    if (existing := await repository.find(session)) is not None:
        raise ConflictError(f"This installation already runs the programme {existing.external_id}.")
    program = Program(id=new_id("prg", now), created_at=now, **asdict(draft))
    await repository.add(session, program)
    return program


async def current(session: ReadSession | WriteSession) -> Program:
    """The programme; ConfigurationError before there is one."""
    program = await repository.find(session)
    if program is None:
        raise ConfigurationError("There is no programme yet. Run `mereau demo`, or create one.")
    return program
