"""Logs in both formats: one event per line, on standard error, and never a secret."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from mereau.core.logging import configure_logging

FORMATS = ["json", "console"]
SECRET = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def own_configuration() -> Iterator[None]:
    """The process's log output is restored for the tests that follow."""
    before = structlog.get_config()
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()
    structlog.configure(**before)


def logged(capsys: pytest.CaptureFixture[str], log_format: str, *, level: str = "INFO", **fields: Any) -> str:
    """What one event with these fields writes to standard error."""
    configure_logging(log_format=log_format, level=level)
    structlog.get_logger().info("wallet_opened", **fields)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize(
    "fields",
    [
        {"password": SECRET},
        {"keystore_password": SECRET},
        {"PASSWORD": SECRET},
        {"Authorization": f"Bearer {SECRET}"},
        {"api_key": SECRET},
        {"API_KEY": SECRET},
        {"private_key": SECRET},
        {"seed": SECRET},
        {"voucher_secret": SECRET},
        {"request": {"headers": {"Authorization": SECRET}}},
        {"settings": [{"host": "a"}, {"Keystore_Password": SECRET}]},
        {"pair": ({"seed": SECRET}, 1)},
        {"deep": {"a": [{"b": ({"SECRET": SECRET},)}]}},
        {"seed": {"words": [SECRET]}},
    ],
)
def test_secrets_are_hidden_however_deep_and_however_spelt(
    capsys: pytest.CaptureFixture[str], log_format: str, fields: dict[str, Any]
) -> None:
    line = logged(capsys, log_format, **fields)
    assert SECRET not in line
    assert "[hidden]" in line
    assert "wallet_opened" in line


@pytest.mark.parametrize("log_format", FORMATS)
def test_what_is_no_secret_is_shown(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    line = logged(capsys, log_format, member_id="mem_1", nested={"tokens": 7}, items=["a", "b"])
    assert "[hidden]" not in line
    for word in ("mem_1", "tokens", "7", "a", "b"):
        assert word in line


def test_hiding_does_not_change_what_the_caller_holds(capsys: pytest.CaptureFixture[str]) -> None:
    headers = {"Authorization": SECRET}
    logged(capsys, "json", headers=headers)
    assert headers == {"Authorization": SECRET}


def test_json_is_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = logged(capsys, "json", text="two\nlines", n=3)
    assert line.count("\n") == 1
    event = json.loads(line)
    assert (event["event"], event["level"], event["text"], event["n"]) == ("wallet_opened", "info", "two\nlines", 3)
    assert event["timestamp"].endswith("Z")


@pytest.mark.parametrize(("level", "shown"), [("DEBUG", 3), ("info", 2), ("WARNING", 1), ("critical", 0)])
def test_what_is_below_the_level_is_silent(capsys: pytest.CaptureFixture[str], level: str, shown: int) -> None:
    configure_logging(log_format="json", level=level)
    log = structlog.get_logger()
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert len(capsys.readouterr().err.splitlines()) == shown


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logging(log_format=log_format, level="INFO")

    def fail(credential: str) -> None:
        held = credential[::-1]
        raise ValueError(f"refused {len(held)} characters")

    try:
        fail(SECRET)
    except ValueError:
        structlog.get_logger().exception("broken")
    told = capsys.readouterr().err
    assert "refused 28 characters" in told
    assert "ValueError" in told
    assert SECRET not in told
    assert SECRET[::-1] not in told


def test_bound_context_is_part_of_every_event_and_hidden_too(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.contextvars.bind_contextvars(request_id="req_1", authorization=SECRET)
    event = json.loads(logged(capsys, "json"))
    assert (event["request_id"], event["authorization"]) == ("req_1", "[hidden]")
