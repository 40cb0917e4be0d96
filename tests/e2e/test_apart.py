"""The parts run apart, against a server and a node that the environment names."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.harness import ask, mereau, mereau_json, stack_on, start, stop, wait_until
from fixtures.chain import free_port
from mereau.core.postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An installation's database and chain, running by themselves; the environment that names them."""
    home = tmp_path_factory.mktemp("apart")
    with stack_on(home):
        pass
    port = free_port()
    with EmbeddedPostgres(home / "postgres", home / "postgres.log") as server, ExitStack() as cleanup:
        cleanup.callback(stop, start("chain", "--data-dir", str(home), "--port", str(port)))
        names = {
            "MEREAU_DATA_DIR": str(home),
            "MEREAU_DATABASE_URL": server.url,
            "MEREAU_CHAIN_URL": f"http://127.0.0.1:{port}",
        }
        wait_until(lambda: ask(names["MEREAU_CHAIN_URL"])[0] != 0, "the node")
        yield names


def with_password(servers: dict[str, str]) -> dict[str, str]:
    return servers | {"MEREAU_KEYSTORE_PASSWORD_FILE": f"{servers['MEREAU_DATA_DIR']}/keystore.password"}


def test_a_relayer_without_the_password_refuses(servers: dict[str, str]) -> None:
    assert "MEREAU_KEYSTORE_PASSWORD" in mereau("relayer", expect=2, **servers)


def test_without_servers_the_parts_say_what_to_set(tmp_path: Path) -> None:
    assert "MEREAU_DATABASE_URL" in mereau("mirror", "--data-dir", str(tmp_path), expect=2)


def test_a_chain_needs_an_installation(tmp_path: Path) -> None:
    assert "mereau up" in mereau("chain", "--data-dir", str(tmp_path), expect=2)


def test_a_migration_needs_a_database(tmp_path: Path) -> None:
    assert "MEREAU_DATABASE_URL" in mereau("migrate", "--data-dir", str(tmp_path), expect=2)


def test_nothing_running_is_said_and_nothing_started(tmp_path: Path) -> None:
    assert mereau_json("status", "--data-dir", str(tmp_path / "none"), expect=1)["running"] is False
    assert not (tmp_path / "none").exists()


def test_up_starts_only_what_is_not_elsewhere(servers: dict[str, str]) -> None:
    port = free_port()
    process = start("up", "--port", str(port), **with_password(servers))
    try:
        wait_until(lambda: ask(f"http://127.0.0.1:{port}/readyz")[0] == 200, "readiness")
    finally:
        stop(process)
    assert process.returncode == 0


def test_a_port_that_is_taken_ends_the_start(servers: dict[str, str]) -> None:
    taken = servers["MEREAU_CHAIN_URL"].rpartition(":")[2]
    words = mereau("up", "--port", taken, expect=2, **with_password(servers))
    assert "api ended with code" in words
