"""The plan and its ports; whole starts are tried in tests/e2e."""

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mereau.cli.supervisor import Plan, free_port, port_or_free

PLAN = Plan("/data", None, "http://127.0.0.1:1", 7, 0, "127.0.0.1", 8000, None, 8)


def test_a_plan_survives_its_journey_through_the_command_line() -> None:
    assert Plan.from_json(PLAN.to_json()) == PLAN


def test_an_errand_is_part_of_the_plan() -> None:
    plan = PLAN.telling(["tell", "it"], serve=False)
    assert (list(plan.errand), plan.serve) == (["tell", "it"], False)
    assert (list(PLAN.errand), PLAN.serve) == ([], True)


def test_a_free_port_is_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port("127.0.0.1")))


def test_the_wanted_port_is_taken_if_it_is_free() -> None:
    port = free_port("127.0.0.1")
    assert port_or_free("127.0.0.1", port) == port


def test_another_port_is_taken_if_it_is_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port_or_free("127.0.0.1", port) not in {port, 0}


def test_any_port_is_a_real_one() -> None:
    assert port_or_free("127.0.0.1", 0) > 0


def test_the_supervisor_stays_light() -> None:
    """What it must not load weighs more than it does."""
    program = "import mereau.cli.supervisor, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    heavy = {"pydantic", "sqlalchemy", "psycopg", "httpx", "typer", "rich", "structlog", "mereau.core.config"}
    assert heavy & set(loaded.split()) == set()


def test_a_start_that_cannot_be_made_ends_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "postgres").write_text("not a directory")
    plan = Plan(str(tmp_path / "data"), None, None, 7, 0, "127.0.0.1", 0, str(tmp_path / "data/keystore.password"), 8)
    done = subprocess.run(
        [sys.executable, "-m", "mereau.cli.supervisor", plan.to_json()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "data" / "run.json").exists()


def listening_hosts() -> list[str]:
    """The loopback addresses that this machine has."""
    hosts = []
    for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.bind((host, 0))
            hosts.append(host)
    return hosts


@pytest.mark.parametrize("host", listening_hosts())
def test_a_port_belongs_to_its_host(host: str) -> None:
    assert port_or_free(host, 0) > 0
