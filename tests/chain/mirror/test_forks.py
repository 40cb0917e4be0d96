"""Headers of each fork's rules as anvil makes them, and receipts of each transaction type."""

from collections.abc import Iterator

import pytest
from eth_account import Account

from chain.mirror.kit import receipt_of
from fixtures.chain import ANVIL_KEY, running_anvil
from mereau.chain.headers import check_links, read_header
from mereau.chain.receipts import prove_receipts
from mereau.chain.rpc import RpcClient, quantity

pytestmark = pytest.mark.node
FORKS = ("frontier", "byzantium", "berlin", "london", "paris", "shanghai", "cancun", "prague", "osaka")
SENDER = Account.from_key(ANVIL_KEY)


@pytest.fixture(params=FORKS)
def fork_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with running_anvil("--hardfork", request.param) as url:
        yield url


async def send(rpc: RpcClient, **fields: object) -> None:
    nonce = int(await rpc.call("eth_getTransactionCount", SENDER.address, "pending"), 16)
    whole = {"nonce": nonce, "gas": 200_000, "value": 1, "chainId": 31337, "to": b"\x11" * 20, **fields}
    raw = SENDER.sign_transaction(whole).raw_transaction
    await receipt_of(rpc, await rpc.call("eth_sendRawTransaction", bytes(raw)))


async def test_blocks_of_every_fork_are_proven(fork_url: str, request: pytest.FixtureRequest) -> None:
    age = FORKS.index(request.node.callspec.params["fork_url"])
    async with RpcClient(fork_url) as rpc:
        kinds = await proven_kinds(rpc, age)
    assert kinds == {0, *([1] if age >= 2 else []), *([2] if age >= 3 else []), *([4] if age >= 7 else [])}


async def proven_kinds(fork: RpcClient, age: int) -> set[int]:
    """The transaction types in the receipts of a chain whose blocks were all proven."""
    price = {"gasPrice": 10**10}
    dynamic = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}
    await send(fork, **price)
    if age >= FORKS.index("berlin"):
        await send(fork, **price, type=1, accessList=[{"address": "0x" + "22" * 20, "storageKeys": [0]}])
    if age >= FORKS.index("london"):
        await send(fork, **dynamic, type=2)
    if age >= FORKS.index("prague"):
        permit = Account.from_key(b"\x33" * 32).sign_authorization(
            {"chainId": 31337, "address": b"\x44" * 20, "nonce": 0}
        )
        await send(fork, **dynamic, type=4, authorizationList=[permit])
    head = int(await fork.call("eth_blockNumber"), 16)
    blocks = await fork.batch([("eth_getBlockByNumber", (quantity(n), False)) for n in range(head + 1)])
    headers = [read_header(block) for block in blocks]
    check_links(headers, 0, bytes(32))
    kinds = set()
    for header in headers:
        receipts = await fork.call("eth_getBlockReceipts", header.hash)
        prove_receipts(header, receipts)
        kinds |= {int(receipt["type"], 16) for receipt in receipts}
    return kinds
