"""The JSON-RPC client against a real node, and against everything that can stand between."""

import asyncio

import pytest

from chain.relayer.proxy import Fault, FaultProxy
from fixtures.chain import CHAIN_ID, free_port
from mereau.chain import errors
from mereau.chain.errors import RpcError, RpcUnavailableError
from mereau.chain.fees import FeePolicy, market_fees
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
    fees = await market_fees(rpc, FeePolicy())
    assert fees.max_fee_per_gas_wei >= fees.max_priority_fee_per_gas_wei > 0


async def test_a_chain_that_names_no_tip_gets_the_policys(proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    refusal = {"code": -32601, "message": "Method not found"}
    proxy.fail_always("eth_maxPriorityFeePerGas", Fault(forward=False, error=refusal))
    assert (await market_fees(faulty_rpc, FeePolicy(tip_default_wei=7))).max_priority_fee_per_gas_wei == 7


async def test_a_chain_without_a_base_fee_is_refused(proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    refusal = {"code": -32601, "message": "Method not found"}
    proxy.fail_always("eth_feeHistory", Fault(forward=False, error=refusal))
    with pytest.raises(errors.MethodUnsupportedError):
        await market_fees(faulty_rpc, FeePolicy())


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
