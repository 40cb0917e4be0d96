"""Ten segments over very many members: facts, scores, lifecycle and everything that the filters ask, from nothing.

The yardstick, in the same run: PostgreSQL alone adding up the same sales by member, once.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import bench_members
import psycopg
from bench_machine import memory_mib
from bench_stack import scratch
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import create_engine, transaction
from mereau.core.migrate import migrate
from mereau.core.postgres import EmbeddedPostgres
from mereau.programs import service as programs
from mereau.programs.service import ProgramDraft
from mereau.segments import service, tasks
from mereau.segments.service import SegmentDraft
from mereau.tiers import service as tiers
from mereau.tiers.domain import Ladder, Qualification, TierSpec

Figures = dict[str, float | int]

_MEMBERS_DEFAULT: Final = 1_000_000
_TABLES: Final = ("members", "accounts")
_DRAW: Final = "(hashint8(n * 64 + {salt}) & 2147483647)"
_SALES: Final = f"""
    from generate_series(1, %(members)s) as n
    join lateral generate_series(1, {_DRAW.format(salt=0)} %% 11) as k on true
"""
# Two years of sales: half of the members bought within the last quarter.
_INSERTS: Final = {
    "sales": f"""
        insert into sales (id, partner_id, channel, member_id, external_id, occurred_at, currency, shipping_minor,
            eligible_minor, tokens, inputs_digest)
        select 'sal_' || lpad(n::text, 18, '0') || lpad(k::text, 8, '0'), %(partner)s,
            (array['shop', 'web', 'app'])[1 + (n + k) %% 3],
            'mem_01' || lpad(n::text, 8, '0') || upper(left(encode(sha256(n::text::bytea), 'hex'), 16)),
            'receipt-' || n || '-' || k,
            %(now)s - make_interval(mins => (1051200.0 * power({_DRAW.format(salt="k")} / 2147483647.0, 2))::int),
            'EUR', 0, 0, 0, ''
        {_SALES}
    """,
    "sale_lines": f"""
        insert into sale_lines (sale_id, line_number, sku, category, brand, labels, quantity, amount_minor,
            discount_minor, tax_minor, eligible_minor, tokens, returned_quantity, reversed_tokens)
        select 'sal_' || lpad(n::text, 18, '0') || lpad(k::text, 8, '0'), line, 'sku-' || (n + k + line) %% 500,
            'category-' || (n + line) %% 20, 'brand-' || (n + k) %% 50,
            case when k %% 10 = 0 then '{{{{bio}}}}'::text[] else '{{{{}}}}' end,
            2, 100 + {_DRAW.format(salt="32 + k")} %% 9900, 0, 0, 0, 0, ((n + k) %% 50 = 0)::int, 0
        {_SALES}
        join lateral generate_series(1, 1 + (n + k) %% 2) as line on true
    """,
}
_AGGREGATE: Final = """
    select count(*) from (
        select member_id, count(distinct sales.id), sum(amount_minor), min(occurred_at), max(occurred_at)
        from sales join sale_lines on sale_id = sales.id group by member_id
    ) as added
"""
FILTERS: Final[Mapping[str, dict[str, Any]]] = {
    "champions": {"lifecycle": {"in": ["champion"]}},
    "best-cell": {"rfm": {"recency": {"min": 5}, "frequency": {"min": 4}, "monetary": {"min": 4}}},
    "slipping": {"all": [{"lifecycle": {"in": ["at_risk", "lapsed"]}}, {"purchases": {"count": {"min": 3}}}]},
    "quarter": {"purchases": {"within_days": 90, "count": {"min": 3}}},
    "big-quarter": {"purchases": {"within_days": 90, "amount_minor": {"min": 20_000}}},
    "category": {"purchases": {"within_days": 365, "categories": ["category-3"], "count": {"min": 2}}},
    "organic-online": {"purchases": {"labels": ["bio"], "channels": ["web", "app"]}},
    "basket": {"purchases": {"average_minor": {"min": 9_000}}},
    "quiet-savers": {"all": [{"last_purchase": {"days_ago": {"min": 60}}}, {"balance": {"tokens": {"min": 2_500}}}]},
    "not-gold": {"all": [{"not": {"tier": {"in": ["gold"]}}}, {"any": [{"locale": {"in": ["en"]}},
        {"purchases": {"brands": ["brand-7"], "within_days": 180}}]}]},
}  # fmt: skip


def segments(options: argparse.Namespace) -> Figures:
    """Seconds of the first refresh of everything, of the next day's, and of the yardstick."""
    members = options.members or _MEMBERS_DEFAULT
    size = f"{members // 1_000_000}m" if members % 1_000_000 == 0 else f"{members // 1_000}k"
    now = datetime.now(UTC)
    with scratch() as folder:
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "postgres", folder / "log", memory_mib=memory_mib() // 2) as server:
            migrate(server.url)
            sales = _fill(server.url, members, now)
            aggregate_s = _yardstick(server.url)
            first_s, again_s, belonging = asyncio.run(_refreshes(server.url, now))
    return {
        "members": members,
        "sales": sales,
        "segments": len(FILTERS),
        "memberships": belonging,
        f"seconds_{size}": round(first_s, 2),
        f"again_s_{size}": round(again_s, 2),
        f"aggregate_s_{size}": round(aggregate_s, 2),
    }


def _fill(url: str, members: int, now: datetime) -> int:
    bench_members.grow(url, 1, members, tables=_TABLES)
    with psycopg.connect(url, autocommit=True) as connection:
        # As in `bench_members`: what is made to fit need not be looked up row by row.
        connection.execute("set session_replication_role = replica")
        values = {"members": members, "partner": bench_members.PARTNER_ID, "now": now}
        for table, statement in _INSERTS.items():
            connection.execute(statement.format(), values)
            connection.execute(f"vacuum (analyze) {table}")
        row = connection.execute("select count(*) from sales").fetchone()
    return 0 if row is None else int(row[0])


def _yardstick(url: str) -> float:
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        connection.execute(_AGGREGATE)
        return time.perf_counter() - began


async def _refreshes(url: str, now: datetime) -> tuple[float, float, int]:
    engine = create_engine(url)
    try:
        await _prepare(engine, now)
        began = time.perf_counter()
        await tasks.refresh_due(engine, now)
        first_s = time.perf_counter() - began
        async with transaction(engine) as session:
            found = [await service.get_by_external_id(session, name) for name in FILTERS]
        empty = [segment.external_id for segment in found if not segment.member_count or segment.queued_at]
        if empty:
            raise SystemExit(f"segments that found nobody: {', '.join(empty)}")
        began = time.perf_counter()
        await tasks.refresh_due(engine, now + timedelta(days=1))
        return first_s, time.perf_counter() - began, sum(segment.member_count for segment in found)
    finally:
        await engine.dispose()


async def _prepare(engine: AsyncEngine, now: datetime) -> None:
    async with transaction(engine) as session:
        await programs.create(session, ProgramDraft("bench", "Mesure", "Bench", "Point", "PT"), now)
        ladder = Ladder(Qualification(), (TierSpec("gold", "Or", "Gold", 1),))
        draft = await tiers.put_draft(session, ladder, now, actor="bench")
        await tiers.activate(session, draft.version, now, actor="bench")
        for name, filter_ in FILTERS.items():
            await service.create(session, SegmentDraft(name, name, name, filter_), now, actor="bench")
