"""The served API against its own document: Schemathesis makes requests from it and judges the answers."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from api.world import ApiWorld

BUDGET_S = 40
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "ignored_auth",
)  # fmt: skip


@contextlib.asynccontextmanager
async def served(world: ApiWorld) -> AsyncIterator[str]:
    """The world's application on a real socket."""
    server = uvicorn.Server(uvicorn.Config(world.app, port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells by this attribute alone
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.mark.slow
@pytest.mark.parametrize("who", ["operator", "partner_a"])
async def test_the_api_does_what_its_document_says(world: ApiWorld, tmp_path: Path, who: str) -> None:
    await world.deploy()
    await world.mine_everything()
    async with served(world) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/v1/openapi.json",
            "--header", f"Authorization: Bearer {world.keys[who]}", "--checks", ",".join(CHECKS), "--seed", "20826",
            "--phases", "examples,coverage,fuzzing", "--max-examples", "8", "--max-time", str(BUDGET_S // 2),
            "--warnings", "off", "--no-color", "--generation-database", "none", "--no-shrink", "--continue-on-failure",
            cwd=tmp_path, env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        report, _ = await process.communicate()
    assert process.returncode == 0, report.decode()[-20_000:]
