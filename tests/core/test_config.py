"""Settings: each is read from its variable, each is documented, and none shows a secret."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mereau.core.config import Settings

MANUAL = Path(__file__).parents[2] / "docs" / "operators.md"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without `.env`, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MEREAU_{name.upper()}", raising=False)
    return tmp_path


def test_the_defaults_serve_this_machine_alone() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.database_url, settings.chain_url, settings.keystore_password) == (None, None, None)
    assert (settings.finality, settings.finality_depth_blocks) == ("tags", 64)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("data_dir", "/srv/mereau", Path("/srv/mereau")),
        ("database_url", "postgresql://db/m", "postgresql://db/m"),
        ("chain_url", "http://node:8545", "http://node:8545"),
        ("chain_id", "1", 1),
        ("finality", "depth", "depth"),
        ("finality_depth_blocks", "0", 0),
        ("host", "::", "::"),
        ("port", "0", 0),
        ("keystore_password_file", "/run/secrets/k", Path("/run/secrets/k")),
        ("seal_delay_s", "0.25", 0.25),
        ("seal_orders_max", "1", 1),
        ("fee_max_gwei", "0.25", Decimal("0.25")),
        ("transaction_gas_max", "32000000", 32_000_000),
        ("block_gas_percent_max", "100", 100),
        ("funds_batches_min", "1", 1),
        ("pool_connections_max", "3", 3),
        ("log_format", "json", "json"),
        ("log_level", "DEBUG", "DEBUG"),
    ],
)
def test_each_is_read_from_its_variable(
    name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch, nowhere: Path
) -> None:
    monkeypatch.setenv(f"MEREAU_{name.upper()}", text)
    assert getattr(Settings(), name) == value
    monkeypatch.delenv(f"MEREAU_{name.upper()}")
    (nowhere / ".env").write_text(f"MEREAU_{name.upper()}={text}\nOTHER=1\n")
    assert getattr(Settings(), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "65536"), ("port", "-1"), ("port", "http"), ("finality", "soon"), ("finality_depth_blocks", "-1"),
        ("seal_delay_s", "0"), ("seal_delay_s", "-1"), ("seal_orders_max", "0"), ("pool_connections_max", "0"),
        ("log_format", "xml"), ("chain_id", "mainnet"), ("fee_max_gwei", "0"), ("transaction_gas_max", "20000"),
        ("block_gas_percent_max", "0"), ("block_gas_percent_max", "101"), ("funds_batches_min", "0"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_the_settings_name(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MEREAU_{name.upper()}", text)
    with pytest.raises(ValidationError, match=name):
        Settings()


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    (nowhere / ".env").write_text("MEREAU_PORT=1\nMEREAU_HOST=a\n")
    monkeypatch.setenv("MEREAU_PORT", "2")
    assert (Settings().port, Settings().host) == (2, "a")


def test_variables_without_our_prefix_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9")
    monkeypatch.setenv("HOST", "elsewhere")
    assert (Settings().port, Settings().host) == (8000, "127.0.0.1")


def test_the_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEREAU_KEYSTORE_PASSWORD", "hunter2")
    settings = Settings()
    assert settings.keystore_password is not None
    assert settings.keystore_password.get_secret_value() == "hunter2"
    dumped: list[Any] = [repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())]
    assert not [text for text in dumped if "hunter2" in text]


def test_the_manual_lists_every_setting() -> None:
    text = MANUAL.read_text()
    assert [name for name in Settings.model_fields if f"MEREAU_{name.upper()}" not in text] == []
