"""One history on the real chain, and a recording of all that the verifier asks a node about it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.chain import ChainNode
from fixtures.onchain import EPOCH_S, World, build_world, write_trail
from verify.replay import Lines, Replay, serving


@pytest.fixture(scope="session")
def history(chain_node: ChainNode) -> tuple[World, Lines, dict[str, Any]]:
    """Issues, a reversal, an expiry and redemptions; read-only for the tests."""
    world = build_world(chain_node)
    members = chain_node.accounts[4:9]
    world.order("issue", [(member.address, 100 + index) for index, member in enumerate(members)])
    world.order("issue", [(members[0].address, 50)])
    world.order("reverse", [(members[0].address, 20), (members[1].address, 101)])
    world.redeem(members[2], 30)
    world.redeem(members[2], 5)
    world.w3.provider.make_request("evm_increaseTime", [3 * EPOCH_S])  # type: ignore[arg-type]  # the node's own method
    world.w3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]  # the node's own method
    world.order("expire", [(members[3].address, 40)])
    return world, world.trail_lines(), world.manifest()


@pytest.fixture
def honest(history: tuple[World, Lines, dict[str, Any]], tmp_path: Path) -> Path:
    _, lines, manifest = history
    return write_trail(tmp_path / "trail", lines, manifest)


@pytest.fixture(scope="session")
def replay(chain_node: ChainNode) -> Iterator[Replay]:
    with serving(Replay(chain_node.url)) as served:
        yield served
