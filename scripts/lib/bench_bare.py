"""The yardstick of `bench read`: a FastAPI route, as its documentation teaches it, around the same one SELECT.

The same engine, pool, server settings and event loop as the API; no key, no rates, no problems, no model.
Usage: python bench_bare.py DATABASE_URL PORT
"""

import sys

import uvicorn
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.core.clock import SystemClock
from mereau.core.db import create_engine
from mereau.core.http import make_site
from mereau.ledger.balances.queries import find_balance
from mereau.ledger.queries import Balance


def bare_app(database_url: str) -> FastAPI:
    app = FastAPI()
    site = make_site(create_engine(database_url), SystemClock())

    @app.get("/api/v1/members/{member_id}/balance")
    async def read(member_id: str) -> Balance | None:
        async with AsyncSession(site.reads) as session:
            return await find_balance(session, member_id)

    return app


if __name__ == "__main__":
    uvicorn.run(bare_app(sys.argv[1]), port=int(sys.argv[2]), access_log=False, log_level="warning")
