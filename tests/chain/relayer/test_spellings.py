"""What nodes say when they refuse: one table per node, and the rules where words and codes disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.spellings import SPELLINGS
from mereau.chain import errors
from mereau.chain.errors import RpcError, rpc_error

ALL = [pytest.param(*row, id=f"{node}: {row[2][:40]}") for node, rows in SPELLINGS.items() for row in rows]


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
