"""/healthz, /readyz and /metrics: for supervisors and scrapers, without a key."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import structlog
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from mereau.api import queries
from mereau.api.metrics import StateMetrics
from mereau.chain.status import chain_status
from mereau.core.activity import active_parts
from mereau.core.errors import ConfigurationError
from mereau.core.http import Reads, answer, site_of
from mereau.core.revision import check_revision
from mereau.core.schemas import Resource
from mereau.programs.days import service as days

_DATABASE_TIMEOUT_S: Final = 5.0
log: Final = structlog.get_logger(__name__)
router = APIRouter(tags=["Operations"])


class Health(Resource):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Resource):
    """Whether requests can be served in full, and if not, why not.

    `alarms` names what an operator should look at while requests are served; /chain/status has the details.
    `active` names, for each part that may stand by, the process at work as HOST:PID; null where none is.
    """

    ready: bool
    reasons: list[str]
    alarms: list[str]
    active: dict[str, str | None]


@router.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """The process is alive; says nothing of what it needs."""
    return answer(Health())


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not ready; the reasons say why."}},
)
async def readyz(request: Request) -> Response:
    """Database, schema, contract, mirror and node, each looked at now."""
    try:
        async with (
            asyncio.timeout(_DATABASE_TIMEOUT_S),
            AsyncSession(site_of(request).reads) as session,
        ):
            found = await _readiness(session, request)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        log.warning("not ready", error=type(error).__name__)
        found = _because("The database does not answer.")
    return answer(found, status=200 if found.ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(session: Reads, request: Request) -> Response:
    """Figures in the Prometheus text format: this process's requests, and the state of the installation."""
    state = StateMetrics()
    state.orders_queued.set(await queries.count_queued_orders(session))
    for name, count in (await queries.count_batches(session)).items():
        state.batches.labels(name).set(count)
    mirror = await queries.mirror_state(session)
    if mirror is not None:
        state.mirror_block.set(mirror.head_number)
        state.mirror_lag.set(max(0, mirror.node_head_number - mirror.head_number))
        state.mirror_frozen.set(mirror.frozen_reason is not None)
        state.supply.set(mirror.supply)
    drift_tokens = await queries.last_drift_tokens(session)
    if drift_tokens is not None:
        state.tell_drift(drift_tokens)
    finished_at = await days.last_finished_at(session)
    if finished_at is not None:
        state.tell_daily_run(finished_at.timestamp())
    content = request.app.state.metrics.render() + state.render()
    return Response(content, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _readiness(session: AsyncSession, request: Request) -> Readiness:
    try:
        await check_revision(session)
    except ConfigurationError as error:
        return _because(error.detail)
    status = await chain_status(session, request.app.state.rpc)
    if status is None:
        return _because("No contract is deployed yet.")
    silent = ["The chain's node does not answer."] if status.node_answers is False else []
    alarms = [alarm.name for alarm in status.alarms]
    return _because(*silent, *status.faults, alarms=alarms, active=await active_parts(session))


def _because(
    *reasons: str, alarms: Sequence[str] = (), active: Mapping[str, str | None] = MappingProxyType({})
) -> Readiness:
    """Not ready because of these reasons; ready where there is none."""
    return Readiness(ready=not reasons, reasons=list(reasons), alarms=list(alarms), active=dict(active))
