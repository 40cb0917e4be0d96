"""The JSON-RPC client against a real node, and against everything that can stand between."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.relayer.proxy import Fault, FaultProxy
from fixtures.chain import CHAIN_ID, free_port
from fixtures.proxy import RelayServer, requests_of
from mereau.chain import errors
from mereau.chain.errors import RpcError, RpcUnavailableError
from mereau.chain.fees import FeePolicy, market
from mereau.chain.rpc import RpcClient, at_block, hex_bytes, quantity
from mereau.chain.simulation import Gas, TooLarge, simulate


async def test_a_call_gives_its_result(rpc: RpcClient) -> None:
    assert int(await rpc.call("eth_chainId"), 16) == CHAIN_ID


async def test_bytes_travel_as_hex(rpc: RpcClient) -> None:
    head = await rpc.call("eth_getBlockByNumber", "latest", False)
    block_hash = hex_bytes(head["hash"])
    assert (await rpc.call("eth_getBlockByHash", block_hash, False))["number"] == head["number"]
    assert int(await rpc.call("eth_getBalance", b"\x01" * 20, at_block(block_hash)), 16) == 0


async def test_a_null_result_is_a_result(rpc: RpcClient) -> None:
    assert await rpc.call("eth_getTransactionReceipt", b"\x01" * 32) is None


async def test_batches_answer_in_order_whatever_their_size(rpc: RpcClient) -> None:
    requests = [("eth_getBalance", (number.to_bytes(20, "big"), "latest")) for number in range(450)]
    requests[7] = ("eth_chainId", ())
    answers = await rpc.batch(requests)
    assert len(answers) == 450
    assert int(answers[7], 16) == CHAIN_ID
    assert await rpc.batch([]) == []


async def test_a_batch_raises_its_first_error_or_hands_it_on(rpc: RpcClient) -> None:
    requests = [("eth_chainId", ()), ("eth_nonsense", ()), ("eth_blockNumber", ())]
    with pytest.raises(errors.MethodUnsupportedError):
        await rpc.batch(requests)
    outcomes = await rpc.batch_outcomes(requests)
    assert isinstance(outcomes[1], errors.MethodUnsupportedError)
    assert int(outcomes[0], 16) == CHAIN_ID


async def test_errors_carry_code_and_message(rpc: RpcClient) -> None:
    with pytest.raises(RpcError) as caught:
        await rpc.call("eth_getBalance", "not an address", "latest")
    assert caught.value.code == -32602
    assert caught.value.message in str(caught.value)


async def test_an_unserialisable_argument_is_our_own_fault(rpc: RpcClient) -> None:
    with pytest.raises(TypeError):
        await rpc.call("eth_chainId", object())


SPOILT = {
    "gateway page": Fault(status=502, body=b"<html>Bad Gateway</html>"),
    "cut short": Fault(body=b'{"jsonrpc":"2.0","id":1,"result":"0x1'),
    "empty": Fault(body=b""),
    "null": Fault(body=b"null"),
    "a number": Fault(body=b"17"),
    "another id": Fault(body=b'{"jsonrpc":"2.0","id":-1,"result":"0x1"}'),
    "json but no rpc": Fault(status=500, body=b'{"error":"oops"}'),
    "hang up": Fault(hang_up=True),
}


@pytest.mark.parametrize("name", list(SPOILT))
async def test_anything_but_a_whole_answer_is_unavailable(proxy: FaultProxy, faulty_rpc: RpcClient, name: str) -> None:
    proxy.fail_once("eth_chainId", SPOILT[name])
    with pytest.raises(RpcUnavailableError):
        await faulty_rpc.call("eth_chainId")
    assert int(await faulty_rpc.call("eth_chainId"), 16) == CHAIN_ID


@pytest.mark.parametrize("body", [b"null", b"17", b"[]", b'[{"jsonrpc":"2.0","id":-5,"result":"0x1"}]', b"[1]"])
async def test_a_batch_needs_every_answer(proxy: FaultProxy, faulty_rpc: RpcClient, body: bytes) -> None:
    proxy.fail_once("eth_chainId", Fault(body=body))
    with pytest.raises(RpcUnavailableError):
        await faulty_rpc.batch([("eth_chainId", ()), ("eth_blockNumber", ())])


async def test_an_answer_without_result_or_error_is_unavailable(proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    proxy.fail_once("eth_chainId", Fault(body=b'{"jsonrpc":"2.0","id":1}'))
    with pytest.raises(RpcUnavailableError, match="without result"):
        await faulty_rpc.call("eth_chainId")


async def test_an_error_without_id_or_for_a_whole_batch_is_raised_as_such(
    proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    body = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"too many requests"}}'
    proxy.fail_once("eth_chainId", Fault(body=body))
    with pytest.raises(errors.LimitExceededError):
        await faulty_rpc.call("eth_chainId")
    proxy.fail_once("eth_chainId", Fault(status=429, body=body))
    with pytest.raises(errors.LimitExceededError):
        await faulty_rpc.batch([("eth_chainId", ())])


async def test_nobody_there_and_nobody_answering_are_unavailable() -> None:
    async with RpcClient(f"http://127.0.0.1:{free_port()}", timeout_s=1) as client:
        with pytest.raises(RpcUnavailableError):
            await client.call("eth_chainId")
    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, RpcClient(f"http://127.0.0.1:{port}", timeout_s=0.2) as client:
        with pytest.raises(RpcUnavailableError, match="ReadTimeout"):
            await client.call("eth_chainId")


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hold the line until the client gives up."""
    while await reader.read(1_024):
        pass
    writer.close()
    await writer.wait_closed()


def test_quantities_have_no_leading_zeros() -> None:
    assert (quantity(0), quantity(255)) == ("0x0", "0xff")


async def test_fees_follow_the_market(rpc: RpcClient) -> None:
    fees = (await market(rpc, FeePolicy())).fees
    assert fees.max_fee_per_gas_wei >= fees.max_priority_fee_per_gas_wei > 0


async def test_a_chain_that_names_no_tip_gets_the_policys(proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    refusal = {"code": -32601, "message": "Method not found"}
    proxy.fail_always("eth_maxPriorityFeePerGas", Fault(forward=False, error=refusal))
    assert (await market(faulty_rpc, FeePolicy(tip_default_wei=7))).fees.max_priority_fee_per_gas_wei == 7


async def test_a_node_that_shows_no_head_is_asked_again_later(proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    proxy.fail_always("eth_getBlockByNumber", Fault(forward=False, result=None))
    with pytest.raises(errors.RpcUnavailableError, match="the node shows no head"):
        await market(faulty_rpc, FeePolicy())


@pytest.mark.parametrize("method", ["eth_getBlockByNumber", "eth_gasPrice"])
async def test_without_a_head_or_a_legacy_price_there_is_no_market(
    proxy: FaultProxy, faulty_rpc: RpcClient, method: str
) -> None:
    refusal = Fault(forward=False, error={"code": -32601, "message": "Method not found"})
    legacy = Fault(forward=False, result={"number": "0x1"})
    proxy.rule = lambda name, _: refusal if name == method else legacy if name == "eth_getBlockByNumber" else None
    with pytest.raises(errors.MethodUnsupportedError):
        await market(faulty_rpc, FeePolicy())


async def test_simulation_tells_gas_from_too_much_of_it(proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    account = b"\x01" * 20
    plain = await simulate(faulty_rpc, sender=account, target=account, data=b"", gas_max=1_000_000)
    assert isinstance(plain, Gas)
    assert 21_000 <= plain.limit <= 23_100
    proxy.fail_always("eth_estimateGas", Fault(result="0xf4241"))
    assert isinstance(await simulate(faulty_rpc, sender=account, target=account, data=b"", gas_max=1_000_000), TooLarge)
    refusal = {"code": -32000, "message": "gas required exceeds allowance (1000000)"}
    proxy.fail_always("eth_estimateGas", Fault(error=refusal))
    assert isinstance(await simulate(faulty_rpc, sender=account, target=account, data=b"", gas_max=1_000_000), TooLarge)


class Shuffler(RelayServer):
    """A node that answers a batch as `arrange` says; JSON-RPC 2.0 lets it answer in any order (section 6)."""

    def __init__(self, target: str, arrange: Callable[[list[Any]], list[Any]]) -> None:
        super().__init__(target)
        self.arrange = arrange
        self.sizes: list[int] = []

    async def answer(self, content: bytes) -> tuple[int, bytes | None]:
        requests, _ = requests_of(content)
        self.sizes.append(len(requests))
        answers = await self.forward(requests)
        return 200, orjson.dumps(self.arrange([answers[one["id"]] for one in requests]))


NUMBERS = [("eth_getBlockByNumber", (hex(0), False)), ("eth_chainId", ()), ("eth_nonsense", ()), ("eth_syncing", ())]


@pytest.mark.parametrize(
    "arrange",
    [
        lambda answers: answers[::-1],
        lambda answers: answers[1:] + answers[:1],
        lambda answers: answers + answers,
        lambda answers: [{"jsonrpc": "2.0", "id": -7, "result": "0xbad"}, *answers],
        lambda answers: [None, "text", *answers, 5],
    ],
    ids=["reversed", "rotated", "twice", "with a stranger", "with rubbish"],
)
async def test_answers_find_their_requests_by_id(chain_url: str, arrange: Callable[[list[Any]], list[Any]]) -> None:
    async with Shuffler(chain_url, arrange) as node, RpcClient(node.url) as client:
        block, chain_id, nonsense, syncing = await client.batch_outcomes(NUMBERS)
    assert (block["number"], int(chain_id, 16), syncing) == ("0x0", CHAIN_ID, False)
    assert isinstance(nonsense, errors.MethodUnsupportedError)


@pytest.mark.parametrize("lost", range(4))
async def test_one_answer_less_is_no_answer(chain_url: str, lost: int) -> None:
    """Whichever is missing: what it was sent for may have happened."""
    async with (
        Shuffler(chain_url, lambda answers: answers[:lost] + answers[lost + 1 :]) as node,
        RpcClient(node.url) as client,
    ):
        with pytest.raises(RpcUnavailableError, match="no answer in the batch"):
            await client.batch_outcomes(NUMBERS)


async def test_large_batches_are_cut_and_small_ones_are_not(chain_url: str) -> None:
    async with Shuffler(chain_url, lambda answers: answers) as node, RpcClient(node.url) as client:
        for size in (1, 200, 201, 400):
            assert len(await client.batch([("eth_chainId", ())] * size)) == size
        assert await client.batch([]) == []
    assert node.sizes == [1, 200, 200, 1, 200, 200]


async def test_a_node_that_refuses_so_many_gets_fewer(chain_url: str) -> None:
    """No node says how many it takes; the size is found, and found again when the node takes more."""

    class Narrow(Shuffler):
        """Takes at most `most` requests in a batch."""

        most = 30

        async def answer(self, content: bytes) -> tuple[int, bytes | None]:
            if len(requests_of(content)[0]) > self.most:
                error = {"code": -32600, "message": "batch too large: limit exceeded"}
                return 200, orjson.dumps({"jsonrpc": "2.0", "id": None, "error": error})
            return await super().answer(content)

    async with Narrow(chain_url, lambda answers: answers) as node, RpcClient(node.url) as client:
        methods = ["eth_chainId", "eth_syncing"] * 50
        assert await client.batch([(method, ()) for method in methods]) == [hex(CHAIN_ID), False] * 50
        assert max(node.sizes) <= 30
        node.sizes.clear()
        await client.batch([("eth_chainId", ())] * 50)
        assert min(node.sizes[:-1]) > 10
        node.most = 0
        with pytest.raises(errors.LimitExceededError):
            await client.batch([("eth_chainId", ())] * 3)


async def test_requests_side_by_side_never_get_each_others_answers(rpc: RpcClient) -> None:
    numbers = [index % 3 for index in range(60)]
    answers = await asyncio.gather(*(rpc.call("eth_getBlockByNumber", hex(0), bool(one)) for one in numbers))
    assert {answer["number"] for answer in answers} == {"0x0"}
    wallets = [one.to_bytes(20, "big") for one in range(60)]
    calls = [rpc.batch([("eth_getBalance", (wallet, "latest")), ("eth_chainId", ())]) for wallet in wallets]
    assert {int(chain_id, 16) for _, chain_id in await asyncio.gather(*calls)} == {CHAIN_ID}


@given(cut=st.integers(0, 300))
async def test_an_answer_cut_anywhere_is_unavailable(proxy: FaultProxy, faulty_rpc: RpcClient, cut: int) -> None:
    whole = orjson.dumps({"jsonrpc": "2.0", "id": 1, "result": {"number": "0x1", "logs": ["0x00"] * 40}})
    proxy.fail_once("eth_chainId", Fault(forward=False, body=whole[: min(cut, len(whole) - 1)]))
    with pytest.raises(RpcUnavailableError):
        await faulty_rpc.call("eth_chainId")


@given(
    body=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=8)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(st.sampled_from(["jsonrpc", "id", "code", "x"]), inner, max_size=3),
            ),
            max_leaves=8,
        ).map(orjson.dumps),
    ),
    status=st.sampled_from([200, 204, 400, 404, 429, 500, 503]),
)
async def test_no_body_is_mistaken_for_a_result(
    proxy: FaultProxy, faulty_rpc: RpcClient, body: bytes, status: int
) -> None:
    """None of these has a result or an error with our id."""
    for ask in (faulty_rpc.call("eth_chainId"), faulty_rpc.batch([("eth_chainId", ())])):
        proxy.fail_once("eth_chainId", Fault(forward=False, body=body, status=status))
        with pytest.raises(RpcUnavailableError):
            await ask


async def test_a_closed_client_is_of_no_use(chain_url: str) -> None:
    client = RpcClient(chain_url)
    await client.close()
    with pytest.raises(RuntimeError):
        await client.call("eth_chainId")
