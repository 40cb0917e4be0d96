"""One development chain per worker; each test takes accounts that nobody else uses."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount

from chain.embedded.support import Client, Node, account

ACCOUNTS = 300
_numbers = itertools.count()


@pytest.fixture(scope="session")
def embedded_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Client]]:
    funded = [account(number).address for number in range(ACCOUNTS)]
    node = Node(tmp_path_factory.mktemp("embedded"), funded=funded)
    client = node.start()
    yield node, client
    client.http.close()
    assert node.stop() == 0


@pytest.fixture(scope="session")
def rpc(embedded_node: tuple[Node, Client]) -> Client:
    return embedded_node[1]


@pytest.fixture
def sender() -> LocalAccount:
    """A funded account with nonce 0."""
    return account(next(_numbers))


@pytest.fixture
def other_sender() -> LocalAccount:
    return account(next(_numbers))


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., tuple[Node, Client]]]:
    """Start a node of one's own in the test's directory; it is killed at the end if it still runs."""
    started: list[tuple[Node, Client]] = []

    def start(**options: object) -> tuple[Node, Client]:
        options.setdefault("funded", [account(number).address for number in range(4)])
        node = Node(tmp_path / "chain", **options)  # type: ignore[arg-type] # the tests' own keywords
        client = node.start()
        started.append((node, client))
        return node, client

    yield start
    for node, client in started:
        client.http.close()
        if node.process.poll() is None:
            node.stop()
