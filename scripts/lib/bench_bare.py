"""The yardstick of `bench read`: a FastAPI route, as its documentation teaches it, around the same one SELECT.

The same engine, pool, server settings and event loop as the API; no key, no rates, no problems, no model.
Usage: python bench_bare.py DATABASE_URL PORT
"""

import sys

import uvicorn
from fastapi import FastAPI

from mereau.core.db import create_engine
from mereau.ledger.balances.queries import find_balance
from mereau.ledger.queries import Balance


def bare_app(database_url: str) -> FastAPI:
    app = FastAPI()
    engine = create_engine(database_url, connections_max=4, isolation_level="AUTOCOMMIT")

    @app.get("/api/v1/members/{member_id}/balance")
    async def read(member_id: str) -> Balance | None:
        async with engine.connect() as connection:
            return await find_balance(connection, member_id)

    return app


if __name__ == "__main__":
    uvicorn.run(bare_app(sys.argv[1]), port=int(sys.argv[2]), access_log=False, log_level="warning")
