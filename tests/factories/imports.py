"""A shop that imports files, and what the database says afterwards."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, make_shop
from mereau.core.clock import ManualClock
from mereau.integrations.report import ImportReport
from mereau.integrations.sales_import import import_sales

HEADER = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
FRANCE = Path(import_sales.__code__.co_filename).parent / "data" / "online_retail_france.csv.gz"

Row = tuple[str, str, int, str, str, str]
"""Invoice, stock code, quantity, day and time, unit price, customer."""


def csv_text(rows: Sequence[Row], *, newline: str = "\n") -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=newline)
    writer.writerow(HEADER)
    for invoice, sku, quantity, date, price, customer in rows:
        writer.writerow((invoice, sku, "SOMETHING", quantity, date, price, customer, "France"))
    return out.getvalue()


@dataclass
class ImportShop(Shop):
    """Imports are of the first partner."""

    async def import_file(self, path: Path, *, mapping: str = "online-retail", **changes: Any) -> ImportReport:
        fields: dict[str, Any] = {"partner_id": self.partners[0].id, "clock": ManualClock(self.now)}
        return await import_sales(self.engine, path, mapping=mapping, **fields | changes)

    async def import_rows(self, folder: Path, rows: Sequence[Row], **changes: Any) -> ImportReport:
        path = folder / "sales.csv"
        path.write_text(csv_text(rows), newline="")
        return await self.import_file(path, **changes)

    async def balances(self) -> dict[str, int]:
        """External id -> tokens, of members who have any."""
        rows = await self.rows(
            "select m.external_id, a.available from accounts a join members m on m.id = a.member_id"
            " where a.available > 0"
        )
        return {row.external_id: row.available for row in rows}

    async def returned(self) -> list[tuple[str, int, int, int]]:
        """(invoice, line, units back, tokens reversed) of every line that has any."""
        rows = await self.rows("""
            select s.external_id, l.line_number, l.returned_quantity, l.reversed_tokens
            from sale_lines l join sales s on s.id = l.sale_id
            where l.returned_quantity > 0 order by 1, 2
        """)
        return [tuple(row) for row in rows]

    async def end_state(self) -> dict[str, Any]:
        """Everything that two runs which ended alike have in common; ids and instants left out."""
        queries = {
            "sales": "select external_id, occurred_at, eligible_minor, tokens from sales order by 1",
            "lines": "select s.external_id, l.line_number, l.tokens, l.returned_quantity, l.reversed_tokens"
            " from sale_lines l join sales s on s.id = l.sale_id order by 1, 2",
            "returns": "select r.external_id, s.external_id, r.tokens_due, r.tokens_reversed"
            " from returns r join sales s on s.id = r.sale_id order by 1, 2",
            "return_lines": "select r.external_id, s.external_id, l.line_number, l.quantity, l.tokens"
            " from return_lines l join returns r on r.id = l.return_id join sales s on s.id = r.sale_id"
            " order by 1, 2, 3",
            "entries": "select m.external_id, e.kind, e.state, e.tokens, e.source_reference, count(*)"
            " from entries e join members m on m.id = e.member_id group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5",
            "accounts": "select m.external_id, a.available, a.pending, a.held, a.debt"
            " from accounts a join members m on m.id = a.member_id order by 1",
            "orders": "select kind, count(*), sum(tokens) from chain_orders group by 1 order by 1",
            "wallets": "select count(*) from wallets where owner_kind = 'member'",
            "acts": "select action, count(*) from journal_entries group by 1 order by 1",
            "events": "select type, count(*) from outbox_events group by 1 order by 1",
        }
        return {name: [tuple(row) for row in await self.rows(query)] for name, query in queries.items()}


async def make_import_shop(engine: AsyncEngine) -> ImportShop:
    """One token per whole unit, and no members yet."""
    shop = await make_shop(engine, member_count=0)
    return ImportShop(engine, shop.now, shop.partners, shop.members)
