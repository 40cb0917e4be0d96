"""One arena per worker: its seeds begin at the same point, so that they may share it."""

from collections.abc import AsyncIterator

import pytest

from fixtures.chain import running_anvil
from fixtures.db import Shelf, url_of
from simulation.arena import ANVIL_OPTIONS, Arena, opened_arena


@pytest.fixture(scope="session")
async def arena(postgres_url: str, shelf: Shelf) -> AsyncIterator[Arena]:
    name = shelf.take()
    with running_anvil(*ANVIL_OPTIONS) as node_url:
        async with opened_arena(url_of(postgres_url, name), node_url) as opened:
            yield opened
    shelf.give_back(name)
