"""The composition root of the HTTP processes: settings in, a served application out."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

import orjson
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response

from mereau.api.metrics import RequestMetrics
from mereau.api.openapi import build_openapi
from mereau.api.router import build_routes
from mereau.auth.dependencies import Keyring
from mereau.auth.idempotency import Groups
from mereau.chain.rpc import RpcClient
from mereau.core import problems
from mereau.core.boundary import Boundary
from mereau.core.clock import Clock, SystemClock
from mereau.core.config import Settings
from mereau.core.db import create_engine
from mereau.core.errors import ConfigurationError
from mereau.core.http import V1, Site, make_site
from mereau.core.layout import Layout, read_voucher_secret
from mereau.core.logging import configure_logging
from mereau.core.rates import RateLimiter

_OBJECTS_PER_COLLECTION: Final = 20_000


def create_app(
    settings: Settings | None = None,
    *,
    engine: AsyncEngine | None = None,
    clock: Clock | None = None,
    voucher_secret: bytes | None = None,
) -> FastAPI:
    """An application on one database. `engine` stays the caller's; without it one is made and disposed of.

    `voucher_secret` is by default that of the data directory. Raises ConfigurationError where no database is
    named or the secret is missing. Without arguments it is the factory of a server.
    """
    settings = settings or Settings()
    site = make_site(engine, clock or SystemClock()) if engine else _open_site(settings, clock or SystemClock())
    rpc = None if settings.chain_url is None else RpcClient(settings.chain_url, timeout_s=5.0)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        configure_logging(log_format=settings.log_format, level=settings.log_level)
        if engine is None:
            # What was imported lives as long as the process: a full collection that looks at it again holds up
            # every request meanwhile. A batch makes tens of thousands of objects and leaves none behind.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_OBJECTS_PER_COLLECTION)
        yield
        if rpc is not None:
            await rpc.close()
        if engine is None:
            await site.close()

    # Documentation pages of the framework load scripts from elsewhere; the document itself is enough.
    app = FastAPI(
        title="Mereau",
        version=version("mereau"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        routes=build_routes(),
        lifespan=lifespan,
    )
    metrics = RequestMetrics()
    app.state.site = site
    app.state.groups = Groups(site)
    app.state.keyring = Keyring()
    app.state.limiter = RateLimiter(settings.rate_limit_per_minute)
    app.state.rpc = rpc
    app.state.voucher_secret = voucher_secret or read_voucher_secret(Layout(settings.data_dir))
    app.state.public_url = settings.public_url or f"http://{settings.host}:{settings.port}"
    app.state.metrics = metrics
    problems.install(app)
    _serve_openapi(app)
    app.add_middleware(Boundary, observe=metrics.observe)
    return app


def _open_site(settings: Settings, clock: Clock) -> Site:
    """Two pools on one database: one for transactions, one whose statements stand alone."""
    if settings.database_url is None:
        raise ConfigurationError("Set MEREAU_DATABASE_URL, or start everything with `mereau up`.")
    reads = max(1, settings.pool_connections_max // 2)
    writes = max(1, settings.pool_connections_max - reads)
    return Site(
        create_engine(settings.database_url, connections_max=writes),
        create_engine(settings.database_url, connections_max=reads, isolation_level="AUTOCOMMIT"),
        clock,
    )


def _serve_openapi(app: FastAPI) -> None:
    rendered: list[bytes] = []

    async def openapi_document(request: Request) -> Response:
        # Built at the first request, not at start: most processes never serve it.
        if not rendered:
            rendered.append(orjson.dumps(build_openapi(app)))
        return Response(rendered[0], media_type="application/json")

    app.add_route(f"{V1}/openapi.json", openapi_document, methods=["GET"], include_in_schema=False)
