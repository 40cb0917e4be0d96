"""One programme per installation, and what it may say."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConfigurationError, ConflictError, InvalidInputError
from mereau.programs import domain
from mereau.programs import service as programs
from mereau.programs.models import Program
from mereau.programs.service import ProgramDraft

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DRAFT = ProgramDraft("demo", "Mereau démo", "Mereau demo", "Point", "PT")


async def create(engine: AsyncEngine, draft: ProgramDraft = DRAFT) -> Program:
    async with transaction(engine) as session:
        return await programs.create(session, draft, NOW)


async def test_the_programme_is_what_was_drafted(engine: AsyncEngine) -> None:
    made = await create(engine, replace(DRAFT, token_life_days=365, return_policy="debt"))
    async with snapshot(engine) as session:
        found = await programs.current(session)
    assert made.id == found.id
    assert made.id.startswith("prg_")
    assert (found.name_fr, found.name_en, found.currency) == ("Mereau démo", "Mereau demo", "EUR")
    assert (found.token_life_days, found.activation_delay_s, found.return_policy) == (365, 0, "debt")


async def test_before_it_is_created_there_is_none(engine: AsyncEngine) -> None:
    async with snapshot(engine) as session:
        with pytest.raises(ConfigurationError, match="no programme yet"):
            await programs.current(session)


async def test_there_is_only_one_however_many_ask(engine: AsyncEngine) -> None:
    drafts = [replace(DRAFT, external_id=f"p{index}") for index in range(4)]
    outcomes = await asyncio.gather(*(create(engine, draft) for draft in drafts), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(ConflictError) == 3


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"external_id": " "}, "/external_id"),
        ({"name_fr": ""}, "/name_fr"),
        ({"name_en": ""}, "/name_en"),
        ({"token_name": ""}, "/token_name"),
        ({"token_symbol": "PTé"}, "/token_symbol"),
        ({"token_symbol": "PT\n"}, "/token_symbol"),
        ({"currency": "euro"}, "/currency"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"time_zone": "../etc/passwd"}, "/time_zone"),
        ({"activation_delay_s": -1}, "/activation_delay_s"),
        ({"token_life_days": 0}, "/token_life_days"),
    ],
)
async def test_what_it_may_not_say_is_named(engine: AsyncEngine, changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await create(engine, replace(DRAFT, **changes))
    assert [found.pointer for found in refusal.value.errors] == [pointer]


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = replace(DRAFT, name_fr="", currency="x", token_life_days=0)
    assert [found.pointer for found in domain.findings(wrong)] == ["/name_fr", "/currency", "/token_life_days"]
    assert list(domain.findings(DRAFT)) == []
