"""Fixtures that every part shares; each lives in tests/fixtures/ beside what it starts."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest_plugins = ["fixtures.db", "fixtures.chain", "fixtures.onchain"]

# Seeds are kept: a run is the same run everywhere, and a failing example is printed to be pinned.
settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """Logging is the process's: what one test configures must not swallow what the next one looks for."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
