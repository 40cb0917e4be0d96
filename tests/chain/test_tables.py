"""The chain's tables as migrated: as the models say, and with the indexes that its hot questions need."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import mirror_batches, mirror_store, queries, relayer_queries
from mereau.core.db import snapshot, transaction
from mereau.core.migrate import check_schema

EVENTS = text("""
    insert into chain_events (block_number, log_index, transaction_hash, name, data)
    select n, case name when 'Redeemed' then 0 else 1 end, '\\x00', name, jsonb_build_object(
        'partner', n % 50, 'sequence', n, 'total', 1, 'trailRoot', '0x', 'reference', '0x' || md5(n::text))
    from generate_series(1, 4000) as n, unnest(array['Redeemed', 'Issued']) as name
""")
BATCHES = text("""
    insert into chain_batches (id, kind, sender, call_data, order_count, tokens, gas_limit, state)
    select 'bat_' || n, 'redeem', '', '', 2, 1, 1, case when n > 3990 then 'submitted' else 'final' end
    from generate_series(1, 4000) as n
""")
TRANSFERS = text("""
    insert into chain_transfers (block_number, log_index, source, target, tokens)
    select n, 0, decode(repeat('00', 20), 'hex'), decode(md5(n::text), 'hex'), 1 from generate_series(1, 20000) as n
""")
ORDERS = text("""
    insert into chain_orders (id, kind, tokens, commitment, state, batch_id, batch_index)
    select 'ent_' || n, 'redeem', 1, decode(md5(n::text), 'hex'), 'sealed', 'bat_' || (n / 2 + 1), n % 2
    from generate_series(0, 7999) as n
""")


@pytest.fixture
async def full(engine: AsyncEngine) -> AsyncEngine:
    """Enough rows for the planner to prefer an index where there is one."""
    async with transaction(engine) as session:
        for statement in (EVENTS, BATCHES, ORDERS):
            await session.execute(statement)
        await session.execute(text("analyze chain_events, chain_batches, chain_orders"))
    return engine


async def plan(engine: AsyncEngine, statement: str, **parameters: Any) -> str:
    async with snapshot(engine) as session:
        return "\n".join(await session.scalars(text(f"explain {statement}"), parameters))


async def test_models_and_migrations_agree(database_url: str) -> None:
    await asyncio.to_thread(check_schema, database_url)


async def test_looking_for_executed_batches_reads_no_table_through(full: AsyncEngine) -> None:
    """It is asked on every idle step, and history only grows."""
    steps = await plan(full, mirror_batches._EXECUTED.text)
    assert "Seq Scan" not in steps
    assert {"ix_chain_batches_open", "ix_chain_events_reference"} <= set(steps.split())


async def test_a_partners_events_are_found_by_index(full: AsyncEngine) -> None:
    steps = await plan(full, relayer_queries._LINE_EVENT.text, partner=3, sequence=53)
    assert "ix_chain_events_partner" in steps
    async with snapshot(full) as session:
        assert await queries.partner_on_chain(session, 3) is None
        found = await relayer_queries.line_consumption(session, 3, 53)
    assert found is not None
    assert (found.name, found.block_number) == ("Issued", 53)


@pytest.mark.parametrize(("partner", "sequence"), [(3, 54), (4, 53), (None, 53)])
async def test_another_lines_events_do_not_count(full: AsyncEngine, partner: int | None, sequence: int) -> None:
    async with snapshot(full) as session:
        assert await relayer_queries.line_consumption(session, partner, sequence) is None


@pytest.mark.parametrize("analysed", [True, False])
async def test_adding_up_a_chunk_reads_that_chunk_alone(engine: AsyncEngine, *, analysed: bool) -> None:
    """Whether or not statistics are there yet: a backfill must not read its own history again and again."""
    async with transaction(engine) as session:
        await session.execute(TRANSFERS)
        if analysed:
            await session.execute(text("analyze chain_transfers"))
    steps = await plan(engine, mirror_store._APPLY.text, first=19_000, last=19_025, zero=bytes(20))
    assert "pk_chain_transfers" in steps
    assert "Seq Scan on chain_transfers" not in steps
