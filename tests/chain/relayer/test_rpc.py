"""The JSON-RPC client against a real node, and against everything that can stand between."""

import asyncio

import pytest

from chain.relayer.proxy import Fault, FaultProxy
from fixtures.chain import CHAIN_ID, free_port
from mereau.chain import errors
from mereau.chain.errors import RpcError, RpcUnavailableError, rpc_error
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


SPELLINGS = [
    (errors.AlreadyKnownError, -32000, "already known"),
    (errors.AlreadyKnownError, -32000, "AlreadyKnown"),
    (errors.AlreadyKnownError, -32000, "Known transaction"),
    (errors.AlreadyKnownError, -32003, "transaction already imported"),
    (errors.NonceTooLowError, -32000, "nonce too low: next nonce 5, tx nonce 4"),
    (errors.NonceTooLowError, -32001, "Nonce too low"),
    (errors.NonceTooLowError, -32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 4"),
    (errors.NonceTooLowError, -32010, "Transaction nonce is too low. Try incrementing the nonce."),
    (errors.NonceTooHighError, -32000, "nonce too high"),
    (errors.NonceTooHighError, -32006, "Nonce too distant from current sender nonce"),
    (errors.ReplacementUnderpricedError, -32000, "replacement transaction underpriced"),
    (errors.ReplacementUnderpricedError, -32010, "ReplacementNotAllowed"),
    (errors.UnderpricedError, -32000, "transaction underpriced: gas tip cap 1, minimum needed 2"),
    (errors.UnderpricedError, -32000, "max fee per gas less than block base fee: address 0x1"),
    (errors.UnderpricedError, -32009, "Gas price below configured minimum gas price"),
    (errors.UnderpricedError, -32010, "FeeTooLow, MaxFeePerGas too low"),
    (errors.InsufficientFundsError, -32000, "insufficient funds for gas * price + value: balance 0"),
    (errors.InsufficientFundsError, -32004, "Upfront cost exceeds account balance"),
    (errors.InsufficientFundsError, -32010, "InsufficientFunds, Account balance: 0"),
    (errors.InsufficientFundsError, -32000, "Sender does not have enough balance to cover transaction"),
    (errors.GasExceededError, -32000, "exceeds block gas limit"),
    (errors.GasExceededError, -32005, "Transaction gas limit exceeds block gas limit"),
    (errors.GasExceededError, -32000, "gas required exceeds allowance (16777216)"),
    (errors.GasExceededError, -32000, "transaction gas limit too high (cap: 16777216, tx: 20000000)"),
    (errors.GasExceededError, -32000, "oversized data: transaction size 140000, limit 131072"),
    (errors.GasExceededError, -32000, "intrinsic gas too low: gas 1, minimum needed 2"),
    (errors.BlockUnknownError, -32000, "header not found"),
    (errors.BlockUnknownError, -39001, "Unknown block"),
    (errors.BlockUnknownError, -32000, "hash 0x12 is not currently canonical"),
    (errors.BlockUnknownError, -32001, "block not found: 0x12"),
    (errors.LimitExceededError, -32005, "query returned more than 10000 results"),
    (errors.LimitExceededError, -32602, "block range is too large"),
    (errors.LimitExceededError, 429, "Too Many Requests"),
    (errors.MethodUnsupportedError, -32601, "the method eth_x does not exist/is not available"),
    (errors.MethodUnsupportedError, -32601, "Method not found"),
    (errors.ExecutionRevertedError, 3, "execution reverted: nonce too low"),
    (errors.ExecutionRevertedError, -32000, "Execution reverted"),
    (errors.ExecutionRevertedError, -32015, "VM execution error."),
    (RpcError, -32603, "Internal error"),
]


@pytest.mark.parametrize(("kind", "code", "message"), SPELLINGS)
def test_nodes_words_become_one_type(kind: type[RpcError], code: int, message: str) -> None:
    error = rpc_error({"code": code, "message": message})
    assert type(error) is kind
    assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("0x1234", b"\x12\x34"),
        ("Reverted 0x1234", b"\x12\x34"),
        ({"data": "0x1234"}, b"\x12\x34"),
        ({"result": "0x1234"}, b"\x12\x34"),
        ("0x", b""),
        ("no hex", None),
        ("0xzz", None),
        (None, None),
        (17, None),
    ],
)
def test_revert_data_in_every_wrapping(data: object, expected: bytes | None) -> None:
    error = rpc_error({"code": 3, "message": "execution reverted", "data": data})
    assert isinstance(error, errors.ExecutionRevertedError)
    assert error.data == expected


def test_data_alone_tells_a_revert() -> None:
    assert isinstance(rpc_error({"code": -1, "message": "", "data": "0x12"}), errors.ExecutionRevertedError)


@pytest.mark.parametrize("error", ["text", None, 5, []])
def test_an_error_that_is_no_object_is_still_an_error(error: object) -> None:
    assert rpc_error(error).code == 0


def test_an_error_without_its_members_is_still_an_error() -> None:
    assert (rpc_error({}).code, rpc_error({"code": "x"}).code) == (0, 0)


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
