"""Members made by the million are as sound as those that enrolled one by one."""

from collections.abc import Iterator
from typing import Any

import bench_members
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from fixtures.db import Shelf, url_of
from mereau.core.db import create_engine
from mereau.core.ids import is_id
from mereau.ledger.balances.queries import find_balance

MEMBERS = 60
ORPHANS = """
    select conrelid::regclass::text, a.attname, confrelid::regclass::text, f.attname
    from pg_constraint c
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    join pg_attribute f on f.attrelid = c.confrelid and f.attnum = c.confkey[1]
    where contype = 'f' and connamespace = 'public'::regnamespace
"""
INDEXES = "select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1"

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def grown(postgres_url: str, shelf: Shelf) -> Iterator[str]:
    """URL of a database of `MEMBERS` members, which tests look at and leave as it is."""
    name = shelf.take()
    url = url_of(postgres_url, name)
    bench_members.grow(url, 1, MEMBERS)
    yield url
    shelf.give_back(name)


@pytest.fixture
def connection(grown: str) -> Iterator[Connection]:
    with psycopg.connect(grown, autocommit=True) as connection:
        yield connection


def value(connection: Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


async def test_each_has_what_its_number_says(grown: str) -> None:
    engine = create_engine(grown, connections_max=1)
    async with AsyncSession(engine) as session:
        for number in range(1, MEMBERS + 1):
            member = bench_members.member_id(number)
            assert is_id("mem", member)
            balance = await find_balance(session, member)
            assert balance is not None
            assert {balance.available, balance.on_chain, balance.expiring_next_tokens} == {bench_members.tokens(number)}
            assert balance.expiring_next_at is not None
        assert await find_balance(session, bench_members.member_id(MEMBERS + 1)) is None
    await engine.dispose()


def test_addresses_are_those_of_the_wallets(connection: Connection) -> None:
    stored = dict(connection.execute("select owner_id, address from wallets").fetchall())
    wanted = {bench_members.member_id(n): bench_members.wallet(n) for n in range(1, MEMBERS + 1)}
    assert stored == wanted
    assert {row[0] for row in connection.execute("select wallet from chain_balances")} == set(wanted.values())
    assert {row[0] for row in connection.execute("select wallet from entries")} == set(wanted.values())


def test_no_row_points_at_nothing(connection: Connection) -> None:
    keys = connection.execute(ORPHANS).fetchall()
    assert len(keys) > 10
    for table, column, target, target_column in keys:
        query = (
            f"select count(*) from {table} r where r.{column} is not null"
            f" and not exists (select 1 from {target} t where t.{target_column} = r.{column})"
        )
        assert value(connection, query) == 0, (table, column)


def test_lots_accounts_and_chain_agree(connection: Connection) -> None:
    wanted = sum(bench_members.tokens(number) for number in range(1, MEMBERS + 1))
    for query in (
        "select sum(available) from accounts",
        "select sum(remaining) from lots",
        "select sum(tokens) from entries",
        "select sum(tokens) from chain_balances",
    ):
        assert value(connection, query) == wanted


def test_the_planner_knows_how_many_there_are(grown: str, connection: Connection) -> None:
    for table in bench_members.table_mib(grown):
        assert value(connection, f"select reltuples from pg_class where oid = '{table}'::regclass") == MEMBERS
        # Visible to all: an index alone can answer.
        assert value(connection, f"select relallvisible from pg_class where oid = '{table}'::regclass") > 0


def test_growing_goes_on_where_it_ended_and_never_back(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        before = connection.execute(INDEXES).fetchall()
        bench_members.grow(database_url, 1, 20)
        small = bench_members.table_mib(database_url)
        bench_members.grow(database_url, 21, 3_000)
        for table, mib in bench_members.table_mib(database_url).items():
            assert value(connection, f"select count(*) from {table}") == 3_000
            assert mib > small[table] > 0
        with pytest.raises(psycopg.errors.UniqueViolation):
            bench_members.grow(database_url, 3_000, 3_010)
        assert value(connection, "select count(*) from members") == 3_000
        assert connection.execute(INDEXES).fetchall() == before
