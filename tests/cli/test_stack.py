"""Which stack a command works on, and what a stack is planned from."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from mereau.cli import stack
from mereau.cli.stack import EMBEDDED_CHAIN_ID, open_stack, plan_of, settings_of
from mereau.cli.state import RunState, lock, write_run_state
from mereau.core.config import Settings
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("MEREAU_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_the_command_line_outranks_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEREAU_DATA_DIR", "elsewhere")
    assert settings_of(None).data_dir == tmp_path / "elsewhere"
    assert settings_of(Path("here")).data_dir == tmp_path / "here"


def test_a_plan_generates_a_password_only_where_none_is_given(tmp_path: Path) -> None:
    plan = plan_of(Settings(data_dir=tmp_path), with_api=True)
    assert plan.password_file == str(tmp_path / "keystore.password")
    assert (plan.chain_id, plan.port, plan.with_api) == (EMBEDDED_CHAIN_ID, 8000, True)
    assert plan.postgres_memory_mib == 8
    assert plan_of(Settings(data_dir=tmp_path, postgres_memory_mib=64), with_api=True).postgres_memory_mib == 64
    given = Settings(data_dir=tmp_path, keystore_password=SecretStr("x"))
    assert plan_of(given, with_api=False).password_file is None
    file = Settings(data_dir=tmp_path, keystore_password_file=Path("/run/secrets/x"), chain_id=1)
    assert (plan_of(file, with_api=True).password_file, plan_of(file, with_api=True).chain_id) == (None, 1)


def test_named_servers_are_used_as_they_are(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="postgresql://d/x", chain_url="http://c")
    with open_stack(settings) as found:
        assert (found.database_url, found.chain_url, found.api_url) == ("postgresql://d/x", "http://c", None)
    assert list(tmp_path.iterdir()) == []


def test_a_running_stack_is_used(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    descriptor = lock(layout)
    state = RunState(os.getpid(), "postgresql://d", "http://c", "http://a")
    write_run_state(layout, state)
    with open_stack(Settings(data_dir=tmp_path)) as found:
        assert found == state
    os.close(descriptor)


def test_a_stack_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("not a directory")
    with (
        pytest.raises(ConfigurationError, match=r"postgres"),
        open_stack(Settings(data_dir=tmp_path)),
    ):
        pytest.fail("there is nothing to work on")
    assert not (tmp_path / "run.json").exists()


def test_a_stack_that_takes_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "_START_S", 0.0)
    with pytest.raises(ConfigurationError), open_stack(Settings(data_dir=tmp_path)):
        pytest.fail("it cannot be ready yet")
    os.close(lock(Layout(tmp_path)))
