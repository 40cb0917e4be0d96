"""A frozen mirror goes on by the operator's word alone, and the journal keeps it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mereau.cli.unfreezing import run_unfreeze

STATE = """
    insert into chain_mirror
        (id, head_number, head_hash, head_timestamp_s, final_number, node_head_number, supply, frozen_reason)
    values (1, 90, '', 0, 80, 95, 0, %s)
"""
REASON = "the chain forked at block 70, below the final block 80"


@pytest.fixture
def installation(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Servers by URL, and one question to the database."""
    monkeypatch.setenv("MEREAU_DATABASE_URL", database_url)
    monkeypatch.setenv("MEREAU_CHAIN_URL", "http://127.0.0.1:1")
    monkeypatch.chdir(tmp_path)

    def ask(statement: str, *parameters: object) -> Any:
        with psycopg.connect(database_url) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else None

    return ask


def state(ask: Callable[..., Any]) -> Any:
    return ask("select frozen_reason, final_number, head_number from chain_mirror")


def journalled(ask: Callable[..., Any]) -> Any:
    return ask("select action, actor, detail from journal_entries")


@pytest.mark.parametrize(("rewind_to", "final"), [(None, 80), (70, 70), (85, 80)])
def test_it_goes_on_when_the_operator_says_so(
    installation: Callable[..., Any], tmp_path: Path, rewind_to: int | None, final: int
) -> None:
    installation(STATE, REASON)
    asked: list[str] = []
    assert run_unfreeze(tmp_path, rewind_to=rewind_to, confirm=lambda question: not asked.append(question))
    assert state(installation) == [(None, final, 90)]
    assert len(asked) == 1
    assert ("70" in asked[0]) is (rewind_to == 70)
    detail = {"reason": REASON, "rewind_to": rewind_to, "final_number": 80}
    assert journalled(installation) == [("mirror.unfrozen", "operator", detail)]


def test_it_stays_frozen_when_the_operator_hesitates(
    installation: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installation(STATE, REASON)
    assert not run_unfreeze(tmp_path, rewind_to=None, confirm=lambda _: False)
    assert REASON in capsys.readouterr().err
    assert state(installation) == [(REASON, 80, 90)]
    assert journalled(installation) == []


@pytest.mark.parametrize("begun", [True, False])
def test_what_is_not_frozen_is_left_alone(
    installation: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], begun: bool
) -> None:
    if begun:
        installation(STATE, None)
    assert run_unfreeze(tmp_path, rewind_to=3, confirm=lambda _: pytest.fail("nothing is to be asked"))
    assert "not frozen" in capsys.readouterr().err
    assert state(installation) == ([(None, 80, 90)] if begun else [])
    assert journalled(installation) == []
