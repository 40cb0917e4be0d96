"""What nodes say when they refuse: one table per node, and the rules where words and codes disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.chain import errors
from mereau.chain.errors import RpcError, rpc_error

Spelling = tuple[type[RpcError], int, str]

GETH: list[Spelling] = [
    (errors.AlreadyKnownError, -32000, "already known"),
    (errors.NonceTooLowError, -32000, "nonce too low: next nonce 5, tx nonce 4"),
    (errors.NonceTooHighError, -32000, "nonce too high: address 0x1, tx: 7 state: 5"),
    (errors.NonceTooHighError, -32000, "nonce has max value: address 0x1, nonce: 18446744073709551615"),
    (errors.ReplacementUnderpricedError, -32000, "replacement transaction underpriced"),
    (errors.ReplacementUnderpricedError, -32000, "future transaction tries to replace pending"),
    (errors.UnderpricedError, -32000, "transaction underpriced: gas tip cap 1, minimum needed 2"),
    (errors.UnderpricedError, -32000, "transaction gas price below minimum: gas tip cap 1, minimum needed 2"),
    (errors.UnderpricedError, -32000, "max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1"),
    (errors.InsufficientFundsError, -32000, "insufficient funds for gas * price + value: balance 0, tx cost 1"),
    (errors.InsufficientFundsError, -32000, "insufficient funds for transfer"),
    (errors.GasExceededError, -32000, "exceeds block gas limit"),
    (errors.GasExceededError, -32000, "gas limit reached"),
    (errors.GasExceededError, -32000, "gas required exceeds allowance (16777216)"),
    (errors.GasExceededError, -32000, "transaction gas limit too high (cap: 16777216, tx: 20000000)"),
    (errors.GasExceededError, -32000, "intrinsic gas too low: gas 1, minimum needed 2"),
    (errors.GasExceededError, -32000, "insufficient gas for floor data gas cost: gas 1, minimum needed 2"),
    (errors.GasExceededError, -32000, "oversized data: transaction size 140000, limit 131072"),
    (errors.BlockUnknownError, -32000, "header not found"),
    (errors.BlockUnknownError, -39001, "Unknown block"),
    (errors.BlockUnknownError, -32000, "hash 0x12 is not currently canonical"),
    (errors.BlockUnknownError, -32000, "missing trie node 12ab (path ) state 0x12 is not available"),
    (errors.BlockUnknownError, -32000, "required historical state unavailable (reexec=128)"),
    (errors.LimitExceededError, -32000, "txpool is full"),
    (errors.LimitExceededError, -32005, "query returned more than 10000 results"),
    (errors.LimitExceededError, -32600, "batch too large: rate limit"),
    (errors.MethodUnsupportedError, -32601, "the method eth_x does not exist/is not available"),
    (errors.ExecutionRevertedError, 3, "execution reverted: nonce too low"),
    (errors.ExecutionRevertedError, -32000, "execution reverted"),
]
RETH: list[Spelling] = [
    (errors.AlreadyKnownError, -32000, "already known"),
    (errors.NonceTooLowError, -32000, "nonce too low: next nonce 5, tx nonce 4"),
    (errors.ReplacementUnderpricedError, -32000, "replacement transaction underpriced"),
    (errors.UnderpricedError, -32000, "transaction underpriced"),
    (errors.UnderpricedError, -32000, "max fee per gas less than block base fee"),
    (errors.InsufficientFundsError, -32000, "insufficient funds for gas * price + value: have 0 want 1"),
    (errors.GasExceededError, -32000, "exceeds block gas limit"),
    (errors.GasExceededError, -32003, "out of gas: gas required exceeds: 100"),
    (errors.LimitExceededError, -32003, "txpool is full"),
    (errors.LimitExceededError, -32602, "query exceeds max block range 100000"),
    (errors.LimitExceededError, -32602, "query exceeds max results 20000, retry with the range 1-2"),
    (errors.BlockUnknownError, -32001, "block not found: 0x12"),
    (errors.ExecutionRevertedError, 3, "execution reverted"),
]
BESU: list[Spelling] = [
    (errors.AlreadyKnownError, -32000, "Known transaction"),
    (errors.NonceTooLowError, -32001, "Nonce too low"),
    (errors.NonceTooHighError, -32006, "Nonce too high"),
    (errors.NonceTooHighError, -32000, "Transaction nonce is too distant from current sender nonce"),
    (errors.ReplacementUnderpricedError, -32000, "Replacement transaction underpriced"),
    (errors.UnderpricedError, -32009, "Gas price below configured minimum gas price"),
    (errors.UnderpricedError, -32009, "Gas price below current base fee"),
    (errors.InsufficientFundsError, -32004, "Upfront cost exceeds account balance"),
    (errors.GasExceededError, -32005, "Transaction gas limit exceeds block gas limit"),
    (errors.GasExceededError, -32003, "Intrinsic gas exceeds gas limit"),
    (errors.BlockUnknownError, -32000, "Block not found"),
    (errors.BlockUnknownError, -32000, "World state unavailable"),
    (errors.LimitExceededError, -32005, "Requested range exceeds maximum range limit"),
    (errors.MethodUnsupportedError, -32604, "Method not supported"),
    (errors.ExecutionRevertedError, -32000, "Execution reverted"),
]
NETHERMIND: list[Spelling] = [
    (errors.AlreadyKnownError, -32010, "AlreadyKnown"),
    (errors.NonceTooLowError, -32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 4"),
    (errors.NonceTooHighError, -32010, "NonceGap, Future nonce. Expected nonce: 4"),
    (errors.NonceTooHighError, -32010, "NonceTooFarInFuture"),
    (errors.NonceTooHighError, -32010, "nonce too far in future"),
    (errors.ReplacementUnderpricedError, -32010, "ReplacementNotAllowed"),
    (errors.UnderpricedError, -32010, "FeeTooLow, MaxFeePerGas too low"),
    (errors.UnderpricedError, -32010, "FeeTooLowToCompete"),
    (errors.InsufficientFundsError, -32010, "InsufficientFunds, Account balance: 0"),
    (errors.GasExceededError, -32010, "GasLimitExceeded, Gas limit: 30000000"),
    (errors.BlockUnknownError, -32000, "No state available for block 0x12"),
    (errors.ExecutionRevertedError, -32015, "VM execution error."),
]
ERIGON: list[Spelling] = [
    (errors.AlreadyKnownError, -32000, "ALREADY_EXISTS: already known"),
    (errors.AlreadyKnownError, -32000, "INTERNAL_ERROR: existing tx with same hash"),
    (errors.NonceTooLowError, -32000, "INTERNAL_ERROR: nonce too low"),
    (errors.ReplacementUnderpricedError, -32000, "INTERNAL_ERROR: could not replace existing tx"),
    (errors.ReplacementUnderpricedError, -32000, "replacement transaction underpriced"),
    (errors.UnderpricedError, -32000, "FEE_TOO_LOW: underpriced"),
    (errors.UnderpricedError, -32000, "FEE_TOO_LOW: fee too low"),
    (errors.InsufficientFundsError, -32000, "INTERNAL_ERROR: insufficient funds"),
    (errors.GasExceededError, -32000, "INTERNAL_ERROR: IntrinsicGas"),
    (errors.GasExceededError, -32000, "INTERNAL_ERROR: RLPTooLong"),
    (errors.LimitExceededError, -32000, "INTERNAL_ERROR: queued sub-pool is full"),
]
ANVIL: list[Spelling] = [
    (errors.AlreadyKnownError, -32003, "transaction already imported"),
    (errors.NonceTooLowError, -32003, "nonce too low"),
    (errors.ReplacementUnderpricedError, -32003, "replacement transaction underpriced"),
    (errors.InsufficientFundsError, -32003, "Insufficient funds for gas * price + value"),
    (errors.GasExceededError, -32003, "intrinsic gas too high, tx.gas_limit > env.block.gas_limit"),
    (errors.GasExceededError, -32003, "Out of gas: gas required exceeds allowance: 21000"),
    (errors.BlockUnknownError, -32602, "BlockOutOfRange: block height is 1 but requested was 9"),
    (errors.MethodUnsupportedError, -32601, "Method not found"),
    (errors.ExecutionRevertedError, 3, "execution reverted: custom error 0x12345678"),
]
OTHERS: list[Spelling] = [
    (errors.NonceTooLowError, -32010, "Transaction nonce is too low. Try incrementing the nonce."),
    (errors.InsufficientFundsError, -32000, "Sender does not have enough balance to cover transaction"),
    (errors.LimitExceededError, 429, "Too Many Requests"),
    (errors.LimitExceededError, -32005, "daily request count exceeded"),
    (errors.MethodUnsupportedError, -32004, "no"),
    (RpcError, -32603, "Internal error"),
    (RpcError, 0, ""),
]
TABLES = {
    "geth": GETH, "reth": RETH, "besu": BESU, "nethermind": NETHERMIND, "erigon": ERIGON, "anvil": ANVIL,
    "others": OTHERS,
}  # fmt: skip
ALL = [pytest.param(*row, id=f"{node}: {row[2][:40]}") for node, rows in TABLES.items() for row in rows]


@pytest.mark.parametrize(("kind", "code", "message"), ALL)
def test_nodes_words_become_one_type(kind: type[RpcError], code: int, message: str) -> None:
    error = rpc_error({"code": code, "message": message})
    assert type(error) is kind
    assert (error.code, error.message) == (code, message)
    assert message in str(error)


@pytest.mark.parametrize(("kind", "code", "message"), ALL)
def test_case_and_company_change_nothing(kind: type[RpcError], code: int, message: str) -> None:
    """Gateways put words of their own around the node's."""
    assert type(rpc_error({"code": code, "message": message.upper()})) is kind
    assert type(rpc_error({"code": code, "message": f"upstream: {message} [r-17]"})) is kind


@pytest.mark.parametrize(("kind", "code", "message"), ALL)
def test_a_revert_that_quotes_a_node_is_still_a_revert(kind: type[RpcError], code: int, message: str) -> None:
    """A contract may revert with any words; code 3 is the node's own. Gas alone is no matter of the contract's."""
    expected = errors.GasExceededError if kind is errors.GasExceededError else errors.ExecutionRevertedError
    assert type(rpc_error({"code": 3, "message": f"execution reverted: {message}"})) is expected


@given(
    code=st.one_of(st.integers(-(2**40), 2**40), st.none(), st.text(), st.booleans()),
    message=st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text())),
    data=st.recursive(
        st.one_of(st.none(), st.text(), st.integers(), st.binary().map(lambda raw: "0x" + raw.hex())),
        lambda inner: st.dictionaries(st.sampled_from(["data", "result", "x"]), inner, max_size=2),
    ),
)
def test_whatever_a_node_answers_is_one_error(code: object, message: object, data: object) -> None:
    error = rpc_error({"code": code, "message": message, "data": data})
    assert isinstance(error, RpcError)
    assert isinstance(error.code, int)
    assert isinstance(error.message, str)
    assert error.data is None or isinstance(error.data, bytes)


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
