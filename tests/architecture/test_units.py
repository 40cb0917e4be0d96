"""The systemd units start what exists, with settings that exist, in the order that the parts need."""

import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from mereau.core.config import Settings

FOLDER = Path(__file__).parents[2] / "docs" / "systemd"
COMMAND = "/opt/mereau/bin/mereau"
SERVICES = sorted(FOLDER.glob("*.service"))
PARTS = [unit for unit in SERVICES if unit.name not in {"mereau-init.service", "mereau-migrate.service"}]
KNOWN = {f"MEREAU_{name.upper()}" for name in Settings.model_fields}
HARDENING = ("CapabilityBoundingSet", "SystemCallFilter", "ProtectSystem", "NoNewPrivileges", "PrivateDevices")


def ids(unit: Path) -> str:
    return unit.stem


def read(unit: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign] - systemd's names have capitals
    parser.read_string(unit.read_text())
    return parser


def values(unit: Path, name: str) -> list[str]:
    """Every value of a setting that may stand several times."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), flags=re.MULTILINE)


def test_the_set_is_complete() -> None:
    assert {unit.stem for unit in SERVICES} == {
        "mereau-api@", "mereau-relayer", "mereau-mirror", "mereau-jobs", "mereau-migrate", "mereau-init",
    }  # fmt: skip
    assert {unit.stem for unit in SERVICES if values(unit, "WantedBy") == ["mereau.target"]} == {
        unit.stem for unit in PARTS
    }


@pytest.mark.parametrize("unit", SERVICES, ids=ids)
def test_a_unit_runs_a_command_that_exists(unit: Path) -> None:
    program, *words = read(unit)["Service"]["ExecStart"].split()
    assert program == COMMAND
    helped = subprocess.run(
        [sys.executable, "-m", "mereau.cli", *words, "--help"], capture_output=True, text=True, check=False
    )
    assert helped.returncode == 0
    assert f"Usage: python -m mereau.cli {words[0]}" in helped.stdout


@pytest.mark.parametrize("unit", SERVICES, ids=ids)
def test_a_unit_sets_what_is_a_setting(unit: Path) -> None:
    assert {setting.partition("=")[0] for setting in values(unit, "Environment")} <= KNOWN
    assert values(unit, "EnvironmentFile") == ["/etc/mereau/mereau.env"]


def test_the_environment_file_holds_settings_that_are_valid() -> None:
    lines = [line for line in (FOLDER / "mereau.env").read_text().splitlines() if line and not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines)
    assert set(settings) <= KNOWN
    assert {"MEREAU_DATA_DIR", "MEREAU_DATABASE_URL", "MEREAU_CHAIN_URL"} <= set(settings)
    read_back = Settings(_env_file=FOLDER / "mereau.env")  # type: ignore[call-arg] - an argument of pydantic's
    assert read_back.data_dir == Path("/var/lib/mereau")


@pytest.mark.parametrize("unit", PARTS, ids=ids)
def test_a_part_starts_after_the_migration_and_again_when_it_fails(unit: Path) -> None:
    parsed = read(unit)
    assert parsed["Unit"]["Requires"] == "mereau-migrate.service"
    assert "mereau-migrate.service" in parsed["Unit"]["After"].split()
    assert parsed["Unit"]["PartOf"] == "mereau.target"
    assert (parsed["Service"]["Restart"], parsed["Service"]["RestartPreventExitStatus"]) == ("always", "2")


@pytest.mark.parametrize("unit", SERVICES, ids=ids)
def test_every_unit_is_shut_in_alike(unit: Path) -> None:
    reference = read(FOLDER / "mereau-relayer.service")["Service"]
    service = read(unit)["Service"]
    assert {name: service[name] for name in HARDENING} == {name: reference[name] for name in HARDENING}
    assert service["User"] == "mereau"


@pytest.mark.parametrize("unit", SERVICES, ids=ids)
def test_only_who_signs_gets_the_password(unit: Path) -> None:
    signs = unit.stem in {"mereau-relayer", "mereau-init"}
    assert bool(values(unit, "LoadCredential")) is signs
    password = [one for one in values(unit, "Environment") if "PASSWORD" in one]
    assert password == (["MEREAU_KEYSTORE_PASSWORD_FILE=%d/keystore.password"] if signs else [])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="the tests above hold where systemd is not")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    for unit in [*SERVICES, FOLDER / "mereau.target"]:
        (tmp_path / unit.name).write_text(unit.read_text().replace(COMMAND, sys.executable))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *sorted(tmp_path.iterdir())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")
