"""The importer as a process of its own, killed with SIGKILL at any moment and started again."""

import random
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.imports import FRANCE, ImportShop, make_import_shop
from mereau.core.db import create_engine

PROGRAM = """
import asyncio, sys
from pathlib import Path
from mereau.core.clock import SystemClock
from mereau.core.db import create_engine
from mereau.integrations.sales_import import import_sales

async def main(url, path, partner_id):
    engine = create_engine(url)
    tell = lambda step: print(step.phase, step.done, flush=True)
    await import_sales(engine, Path(path), mapping="online-retail", partner_id=partner_id,
                       clock=SystemClock(), on_progress=tell, chunk_size=20)
    await engine.dispose()

asyncio.run(main(*sys.argv[1:]))
"""


def start(url: str, partner_id: str, path: Path = FRANCE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, url, str(path), partner_id],
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_after(process: subprocess.Popen[str], lines: int) -> None:
    """SIGKILL once the importer has told so many steps; it is inside a later one by then."""
    assert process.stdout is not None
    for _ in range(lines):
        if not process.stdout.readline():
            break
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
async def test_killed_and_started_again_it_ends_where_an_undisturbed_run_does(
    shop: ImportShop, database_url: str, postgres_url: str
) -> None:
    rng = random.Random(20_111_209)
    for _ in range(8):
        kill_after(start(database_url, shop.partners[0].id), rng.randint(1, 12))
    killed = await shop.count("sales")
    report = await shop.import_file(FRANCE, chunk_size=20)
    assert 0 < report.sales_already_recorded == killed
    assert await shop.end_state() == await undisturbed(postgres_url)
    assert await shop.drift() == 0


async def undisturbed(postgres_url: str) -> dict[str, object]:
    """The end state of one whole run in a database of its own."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("create database undisturbed template mereau_template strategy file_copy")
    engine: AsyncEngine = create_engine(postgres_url.replace("/postgres?", "/undisturbed?"))
    try:
        other = await make_import_shop(engine)
        await other.import_file(FRANCE)
        return await other.end_state()
    finally:
        await engine.dispose()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("drop database undisturbed with (force)")


def test_a_killed_importer_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program = (
        "from mereau.integrations.spool import DocumentSpool; import time\n"
        "with DocumentSpool() as spool: print('open', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    kill_after(process, 1)
    assert list(tmp_path.iterdir()) == []
