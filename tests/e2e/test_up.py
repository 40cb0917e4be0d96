"""One running stack, used by every other command; then deaths of all kinds."""

import json
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import (
    EXTRACT,
    ask,
    members_of,
    mereau,
    mereau_json,
    run_state,
    stack_on,
    start,
    stop,
    wait_for_stack,
    wait_until,
)
from mereau.core.postgres import EmbeddedPostgres

FIRST_START_S = 20
IMPORT = ("import", "sales", str(EXTRACT), "--mapping", "online-retail")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory on which `mereau up` runs for the whole module."""
    folder = tmp_path_factory.mktemp("up") / "data"
    with stack_on(folder):
        yield folder


def state_of(home: Path) -> dict[str, Any]:
    state = run_state(home)
    assert state is not None
    return state


def test_it_answers_ready(home: Path) -> None:
    status, ready = ask(f"{state_of(home)['api_url']}/readyz")
    assert (status, ready["ready"], ready["reasons"], ready["alarms"]) == (200, True, [], [])
    # One process is all three here.
    assert len(set(ready["active"].values())) == 1
    assert None not in ready["active"].values()


@pytest.mark.parametrize(
    "name", ["operator.key", "keystore.json", "keystore.password", "voucher.secret", "run.json", "lock"]
)
def test_secrets_are_their_owners(home: Path, name: str) -> None:
    assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


def test_the_first_operator_key_works_and_no_other_does(home: Path) -> None:
    key = (home / "operator.key").read_text().strip()
    url = f"{state_of(home)['api_url']}/api/v1/partners"
    assert ask(url, key=key)[0] == 200
    assert ask(url, key=key[:-1] + ("A" if key[-1] != "A" else "B"))[0] == 401


def test_a_second_stack_is_told_of_the_first(home: Path) -> None:
    words = mereau("up", "--data-dir", str(home), expect=2)
    state = state_of(home)
    assert f"process {state['pid']}, {state['api_url']}" in words


def test_status_says_where_everything_is(home: Path) -> None:
    found = mereau_json("status", "--data-dir", str(home))
    assert (found["running"], found["mirror_current"]) == (True, True)
    assert found["api"] == state_of(home)["api_url"]
    assert found["contract"].startswith("0x")


def test_sales_come_in_while_it_runs_and_come_in_once(home: Path) -> None:
    first = mereau_json(*IMPORT, "--data-dir", str(home))
    assert (first["lines_read"], first["sales_recorded"], first["drift_tokens"]) == (8557, 392, 0)
    assert first["supply_tokens"] == first["tokens_credited"] - first["tokens_reversed"] == 200_925
    again = mereau_json(*IMPORT, "--data-dir", str(home), "--partner", "online-shop")
    assert (again["sales_recorded"], again["returns_recorded"], again["tokens_credited"]) == (0, 0, 0)
    assert (again["supply_tokens"], again["drift_tokens"]) == (200_925, 0)
    assert mereau_json("reconcile", "--data-dir", str(home))["drift_tokens"] == 0


def test_a_partner_that_is_not_there_is_named(home: Path) -> None:
    words = mereau(*IMPORT, "--data-dir", str(home), "--partner", "nobody", expect=1)
    assert "There is no partner nobody" in words


def test_an_unknown_mapping_lists_the_known(home: Path) -> None:
    words = mereau("import", "sales", str(EXTRACT), "--mapping", "runes", "--data-dir", str(home), expect=1)
    assert "online-retail" in words


def test_keys_are_made_listed_and_revoked(home: Path) -> None:
    where = ("--data-dir", str(home))
    made = mereau_json("keys", "create", "reader", "--role", "auditor", *where)
    url = f"{state_of(home)['api_url']}/api/v1/supply"
    assert ask(url, key=made["key"])[0] == 200
    listed = mereau("keys", "list", *where)
    assert made["id"] in listed
    assert made["key"] not in listed
    mereau("keys", "revoke", made["id"], *where)
    wait_until(lambda: ask(url, key=made["key"])[0] == 401, "the revocation", limit_s=6)
    states = {key["id"]: key["state"] for key in mereau_json("keys", "list", *where)["data"]}
    assert states[made["id"]] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["create", "x", "--role", "king"], 2, "Known: operator"),
        (["create", "x", "--role", "member"], 1, "member"),
        (["create", "x", "--role", "member", "--member", "nobody"], 1, "no member nobody"),
        (["create", "x", "--role", "partner", "--partner", "nobody"], 1, "no such partner"),
        (["revoke", "key_nobody"], 1, "no such API key"),
    ],
)
def test_wrong_key_commands_are_refused(home: Path, arguments: list[str], code: int, words: str) -> None:
    assert words in mereau("keys", *arguments, "--data-dir", str(home), expect=code)


def test_the_journal_is_whole(home: Path) -> None:
    assert mereau_json("audit", "verify", "--data-dir", str(home))["findings"] == 0


def test_a_trail_goes_to_an_empty_place_only(home: Path, tmp_path: Path) -> None:
    done = mereau_json("trail", "export", str(tmp_path / "trail"), "--data-dir", str(home))
    assert done["operations"] > 400
    assert json.loads((tmp_path / "trail" / "manifest.json").read_text())["totals"]["supply"] == 200_925
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter").touch()
    assert "other files" in mereau("trail", "export", str(tmp_path / "other"), "--data-dir", str(home), expect=1)


def test_the_schema_is_up_to_date(home: Path) -> None:
    mereau("migrate", "--data-dir", str(home))


@pytest.mark.parametrize("part", ["serve_api", "mereau.worker", "serve_chain", "postgres"])
def test_a_part_that_is_killed_comes_back(home: Path, part: str) -> None:
    """And everything that hangs on it finds its way back."""
    before = process_of(home, part)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: process_of(home, part, but=before), f"a new {part}")
    wait_until(lambda: ask(f"{state_of(home)['api_url']}/readyz")[0] == 200, "readiness", limit_s=60)
    assert mereau_json("reconcile", "--data-dir", str(home))["drift_tokens"] == 0


def process_of(home: Path, part: str, *, but: int = 0) -> int:
    """The child of the supervisor that is this part, 0 while there is none."""
    children = Path(f"/proc/{state_of(home)['pid']}/task/{state_of(home)['pid']}/children").read_text().split()
    for pid in map(int, children):
        command = Path(f"/proc/{pid}/cmdline")
        if pid != but and command.exists() and part in command.read_text() and "launch.py" not in command.read_text():
            return pid
    return 0


def test_it_stops_in_order_and_leaves_nobody_behind(tmp_path: Path) -> None:
    began = time.monotonic()
    with stack_on(tmp_path) as (process, _):
        assert time.monotonic() - began < FIRST_START_S * 3  # The bar is measured by scripts/bench, on a quiet machine.
        assert len(members_of(tmp_path)) >= 5
        assert stop(process) == 0
    assert members_of(tmp_path) == set()
    assert run_state(tmp_path) is None
    assert not EmbeddedPostgres(tmp_path / "postgres", tmp_path / "log").socket_dir.exists()

    # Killed, the supervisor takes everybody with it, and its successor starts at once.
    process = start("up", "--data-dir", str(tmp_path), "--port", "0", "--chain-port", "0")
    wait_for_stack(process, tmp_path)
    process.kill()
    process.communicate()
    wait_until(lambda: members_of(tmp_path) == set(), "the end of the children", limit_s=20)
    assert mereau_json("reconcile", "--data-dir", str(tmp_path))["drift_tokens"] == 0
    assert members_of(tmp_path) == set()
