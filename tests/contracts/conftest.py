"""One deployment for the whole folder; every test starts from the same block."""

from collections.abc import Iterator

import pytest

from contracts.harness import PARTNER, PARTNER_ID, Chain, Deployed, Token


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    chain = Chain()
    tokens = Token(chain), Token(chain, transfersOpen=True)
    for token in tokens:
        token.register(PARTNER_ID, PARTNER.address)
    return Deployed(chain, *tokens)


@pytest.fixture
def rewound(deployed: Deployed) -> Iterator[Deployed]:
    snapshot = deployed.chain.snapshot()
    yield deployed
    deployed.chain.revert(snapshot)


@pytest.fixture
def token(rewound: Deployed) -> Token:
    """A token whose members cannot transfer, with one partner without limits."""
    return rewound.closed


@pytest.fixture
def open_token(rewound: Deployed) -> Token:
    """The same with transfers open."""
    return rewound.open
