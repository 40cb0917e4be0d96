"""Very many members at once, through the real schema: what millions of sales would have left in the tables.

Each member has a wallet, an account, one entry, one live lot and a balance on chain, all of the same tokens. Ids
and addresses follow from the member's number, in SQL and here alike.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import psycopg

Connection = psycopg.Connection[Any]

PARTNER_ID: Final = "par_" + "1".rjust(26, "0")
# Key of a member's rows: as in a ULID, what rises comes first and what is random last.
_ROWS: Final = """
    select n, 1 + n %% 5000 as tokens, sha256(n::text::bytea) as digest,
        '01' || lpad(n::text, 8, '0') || upper(left(encode(sha256(n::text::bytea), 'hex'), 16)) as key
    from generate_series(cast(%(first)s as bigint), cast(%(last)s as bigint)) as n
    offset 0
"""
_INSERTS: Final = {
    "members": """
        insert into members (id, external_id, locale, status, enrolled_by_partner_id)
        select 'mem_' || key, 'card-' || n, 'fr', 'active', %(partner)s from ({rows}) as made
    """,
    "wallets": """
        insert into wallets (id, owner_kind, owner_id, custody, branch, derivation_index, address)
        select 'wal_' || key, 'member', 'mem_' || key, 'managed', 0, n, substr(digest, 1, 20) from ({rows}) as made
    """,
    "accounts": """
        insert into accounts (member_id, available, pending, held, debt)
        select 'mem_' || key, tokens, 0, 0, 0 from ({rows}) as made
    """,
    # In the order of its only index, which is no order of members: as scattered as first credits are.
    "chain_balances": """
        insert into chain_balances (wallet, tokens)
        select substr(digest, 1, 20), tokens from ({rows}) as made order by 1
    """,
    "entries": """
        insert into entries (id, member_id, partner_id, kind, state, tokens, source_id, source_reference,
            reason_code, wallet, document_salt, record_salt, occurred_at, activates_at)
        select 'ent_' || key, 'mem_' || key, %(partner)s, 'issue', 'accepted', tokens, 'sal_' || key, 'receipt-' || n,
            'sale', substr(digest, 1, 20), substr(digest, 1, 16), substr(digest, 17, 16), now(), now()
        from ({rows}) as made
    """,
    "lots": """
        insert into lots (entry_id, member_id, partner_id, state, tokens, remaining, held, spent, reversed, expired,
            unmet, activates_at, expires_at)
        select 'ent_' || key, 'mem_' || key, %(partner)s, 'active', tokens, tokens, 0, 0, 0, 0, 0, now(),
            date_trunc('day', now()) + interval '1 year'
        from ({rows}) as made
    """,
}
# Filling an index in random order writes each of its pages many times; building it anew sorts once.
_SCATTERED: Final = {"wallets": "ix_wallets_address"}
# What a balance reads, each in the order of the index that finds it and with a column that is in the row alone.
_WALKS: Final = (
    "select count(locale) from (select locale from members order by id offset 0) as walked",
    "select count(custody) from (select custody from wallets order by owner_kind, owner_id offset 0) as walked",
    "select count(available) from (select available from accounts order by member_id offset 0) as walked",
    "select count(tokens) from (select tokens from chain_balances order by wallet offset 0) as walked",
    "select count(state) from (select state from lots where remaining > 0 order by member_id offset 0) as walked",
)
_PARTNER: Final = """
    insert into partners (id, external_id, number, name, status) values (%s, 'till', 1, 'Till', 'active')
    on conflict do nothing
"""


def member_id(number: int) -> str:
    return f"mem_01{number:08d}{_digest(number).hex()[:16].upper()}"


def wallet(number: int) -> bytes:
    return _digest(number)[:20]


def tokens(number: int) -> int:
    """What the member has, by account, lot and chain."""
    return 1 + number % 5_000


def grow(url: str, first: int, last: int, *, tables: Collection[str] = tuple(_INSERTS)) -> None:
    """Members `first` to `last`, with statistics and visibility as autovacuum would leave them in time."""
    with psycopg.connect(url, autocommit=True) as connection:
        # Rows are made to fit each other; ten million look-ups of each foreign key would say nothing new.
        connection.execute("set session_replication_role = replica")
        connection.execute("set work_mem = '1GB'")
        connection.execute("set maintenance_work_mem = '1GB'")
        connection.execute(_PARTNER, [PARTNER_ID])
        for table in tables:
            statement = _INSERTS[table]
            with _rebuilt(connection, _SCATTERED.get(table)):
                connection.execute(statement.format(rows=_ROWS), {"first": first, "last": last, "partner": PARTNER_ID})
            connection.execute(f"vacuum (analyze) {table}")


def read_all(url: str) -> None:
    """What every balance reads is read once, as traffic does in time, and nothing written waits for the disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")
        connection.execute("set enable_seqscan = off")
        connection.execute("set enable_sort = off")
        for walk in _WALKS:
            connection.execute(walk)


def table_mib(url: str) -> Mapping[str, float]:
    """MiB of each of the members' tables, indexes included."""
    with psycopg.connect(url) as connection:
        query = "select pg_total_relation_size(%s::regclass) / 1048576.0"
        return {table: float(_only(connection, query, table)) for table in _INSERTS}


@contextmanager
def _rebuilt(connection: Connection, index: str | None) -> Iterator[None]:
    if index is None:
        yield
        return
    definition = _only(connection, "select pg_get_indexdef(%s::regclass)", index)
    connection.execute(f"drop index {index}")
    yield
    connection.execute(definition)


def _only(connection: Connection, query: str, argument: str) -> Any:
    row = connection.execute(query, [argument]).fetchone()
    return None if row is None else row[0]


def _digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()
