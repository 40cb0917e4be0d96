"""The outermost layer of a served application: request ids, figures, and the last word on a bug.

Plain ASGI: a middleware class of the framework would cost a task and two queues per request.
"""

import re
import time
import traceback
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mereau.core.ids import new_id
from mereau.core.problems import internal_problem

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_.-]{1,64}\Z")
_UNMATCHED: Final = "unmatched"
log: Final = structlog.get_logger(__name__)


class Observer(Protocol):
    """Hears of every finished request; `route` is the template, never the path itself."""

    def __call__(self, method: str, route: str, status: int, duration_s: float) -> None: ...


class Boundary:
    """Gives each request an id (the caller's, where plain), turns bugs into 500, tells the observer."""

    def __init__(self, app: ASGIApp, observe: Observer) -> None:
        self.app = app
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        # A dict of its own: servers share one between requests and lifespan.
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        header = (b"x-request-id", request_id.encode())
        status = 0
        started_s = time.perf_counter()

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                rate = scope["state"].get("rate")
                message["headers"] = [*message["headers"], header, *(rate.headers() if rate else ())]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_marked)
        except Exception:
            # As text: renderers that show local variables would write credentials into the log.
            log.error(  # noqa: TRY400 - the traceback goes as text, see above
                "unhandled error",
                method=scope["method"],
                route=_route(scope),
                traceback=traceback.format_exc(),
            )
            if status:
                # The answer is under way; only breaking the connection still tells the truth.
                raise
            await internal_problem(scope)(scope, receive, send_marked)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            self.observe(scope["method"], _route(scope), status, time.perf_counter() - started_s)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.match(value):
            return str(value.decode())
    return new_id("req", datetime.now(UTC))


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path_format", _UNMATCHED))
