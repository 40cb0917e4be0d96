"""The short interpreter against py-evm's own: random programs, same result to the last unit of gas."""

from typing import Any

import pytest
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth.vm.message import Message
from eth.vm.transaction_context import BaseTransactionContext
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.embedded.assembler import assemble, words
from mereau.chain.embedded.blocks import Header
from mereau.chain.embedded.evm import EmbeddedState, context_of
from mereau.chain.embedded.interpreter import EmbeddedComputation
from mereau.chain.embedded.trie import BLANK_ROOT, NoNodes
from mereau.chain.embedded.world import World

CALLER, CONTRACT = b"\xca" * 20, b"\xc0" * 20
GAS = 200_000
HEADER = Header(
    parent_hash=b"\1" * 32, state_root=BLANK_ROOT, transactions_root=BLANK_ROOT, receipts_root=BLANK_ROOT,
    bloom=bytes(256), number=7, gas_limit=60_000_000, gas_used=0, timestamp=1_800_000_000, base_fee=7,
)  # fmt: skip

EDGES = [0, 1, 2, 31, 32, 33, 64, 255, 256, 2**64, 2**255 - 1, 2**255, 2**256 - 1]
PLAIN = [
    "ADD", "MUL", "SUB", "DIV", "SDIV", "MOD", "SMOD", "ADDMOD", "MULMOD", "EXP", "SIGNEXTEND", "LT", "GT",
    "SLT", "SGT", "EQ", "ISZERO", "AND", "OR", "XOR", "NOT", "BYTE", "SHL", "SHR", "SAR", "SHA3", "ADDRESS",
    "BALANCE", "ORIGIN", "CALLER", "CALLVALUE", "CALLDATALOAD", "CALLDATASIZE", "CALLDATACOPY", "CODESIZE",
    "CODECOPY", "GASPRICE", "EXTCODESIZE", "RETURNDATASIZE", "RETURNDATACOPY", "BLOCKHASH", "NUMBER",
    "TIMESTAMP", "BASEFEE", "CHAINID", "SELFBALANCE", "POP", "MLOAD", "MSTORE", "MSTORE8", "SLOAD", "SSTORE",
    "PC", "MSIZE", "GAS", "JUMPDEST", "LOG0", "LOG1", "LOG2", "TLOAD", "TSTORE", "MCOPY", "PUSH0", "CREATE",
    "CALL", "STATICCALL", "DELEGATECALL", "RETURN", "REVERT", "INVALID", "STOP", "JUMP", "JUMPI",
]  # fmt: skip
ARITHMETIC = [
    "ADD", "MUL", "SUB", "DIV", "MOD", "LT", "GT", "SLT", "SGT", "EQ", "AND", "OR", "XOR", "BYTE", "SHL", "SHR",
    "SAR",
]  # fmt: skip
DEPTHS = [f"{kind}{depth}" for kind in ("DUP", "SWAP") for depth in (1, 2, 3, 8, 16)]
WORDS = st.one_of(st.sampled_from(PLAIN), st.sampled_from(DEPTHS), st.sampled_from(EDGES).map(str))


def run(kind: type[PragueComputation], code: bytes, data: bytes, gas: int) -> dict[str, Any]:
    world = World(NoNodes(), BLANK_ROOT)
    world.set_balance(CALLER, 10**18)
    world.set_code(CONTRACT, code)
    world.begin_transaction()
    state: Any = EmbeddedState(world, context_of(HEADER, [b"\1" * 32], 1))
    message = Message(gas=gas, to=CONTRACT, sender=CALLER, value=3, data=data, code=code)
    computation: Any = kind.apply_message(state, message, BaseTransactionContext(9, CALLER))
    state_root, _ = world.seal()
    return {
        "fault": None if computation.is_success else type(computation.error),
        "output": bytes(computation.output),
        "gas": computation.get_gas_remaining(),
        "refund": computation.get_gas_refund(),
        "logs": computation.get_log_entries(),
        "memory": bytes(computation._memory._bytes),
        "stack": [_integer(value) for value in computation._stack.values],
        "state": state_root,
    }


def _integer(value: int | bytes) -> int:
    return value if isinstance(value, int) else int.from_bytes(value, "big")


def same(code: bytes, data: bytes = b"", gas: int = GAS) -> dict[str, Any]:
    mine, theirs = (run(kind, code, data, gas) for kind in (EmbeddedComputation, PragueComputation))
    if mine["fault"] is not None:
        # A fault burns all gas; how far each came with its stack before it noticed does not matter.
        for result in (mine, theirs):
            del result["stack"], result["memory"]
    assert mine == theirs
    return mine


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=40), st.binary(max_size=70), st.sampled_from([0, 50, 3_000, GAS]))
def test_random_programs(program: list[str], data: bytes, gas: int) -> None:
    same(assemble(" ".join(program)), data, gas)


@pytest.mark.filterwarnings("ignore:SELFDESTRUCT opcode present")
@settings(max_examples=300)
@given(st.binary(max_size=60), st.binary(max_size=40))
def test_random_bytes(code: bytes, data: bytes) -> None:
    same(code + bytes(33), data)


@settings(max_examples=300)
@given(
    st.sampled_from(
        [
            "ADD",
            "MUL",
            "SUB",
            "DIV",
            "MOD",
            "LT",
            "GT",
            "SLT",
            "SGT",
            "EQ",
            "AND",
            "OR",
            "XOR",
            "BYTE",
            "SHL",
            "SHR",
            "SAR",
        ]
    ),
    st.one_of(st.sampled_from(EDGES), st.integers(0, 2**256 - 1)),
    st.one_of(st.sampled_from(EDGES), st.integers(0, 2**256 - 1)),
)
def test_arithmetic(operation: str, left: int, right: int) -> None:
    result = same(assemble(f"{right} {left} {operation} 0 MSTORE 32 0 RETURN"))
    assert len(result["output"]) == 32


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("0 STOP", None),
        ("@there JUMP INVALID there: 1", None),
        ("1 @there JUMPI INVALID there: 1", None),
        ("0 @there JUMPI 5 there: 1", None),
        ("0 JUMP", "InvalidJumpDestination"),
        ("1000 JUMP", "InvalidJumpDestination"),
        (f"{2**255} JUMP", "InvalidJumpDestination"),
        ("4 JUMP 0x5b5b5b", "InvalidInstruction"),
        ("ADD", "InsufficientStack"),
        ("1 ADD", "InsufficientStack"),
        ("POP", "InsufficientStack"),
        ("DUP1", "InsufficientStack"),
        ("1 SWAP1", "InsufficientStack"),
        ("JUMP", "InsufficientStack"),
        ("1 MSTORE", "InsufficientStack"),
        ("SHA3", "InsufficientStack"),
        ("loop: PUSH0 @loop JUMP", "FullStack"),
        ("1 loop: DUP1 @loop JUMP", "FullStack"),
        ("1 loop: 1 @loop JUMP", "FullStack"),
        (f"1 {2**200} MSTORE", "OutOfGas"),
        (f"{2**200} MLOAD", "OutOfGas"),
        (f"{2**200} 0 SHA3", "OutOfGas"),
        ("loop: @loop JUMP", "OutOfGas"),
        ("INVALID", "InvalidInstruction"),
        ("0 0 REVERT", "Revert"),
        (f"{2**256 - 1} CALLDATALOAD", None),
    ],
)
def test_flow_and_faults(program: str, fault: str | None) -> None:
    result = same(assemble(program), words(1))
    assert (result["fault"].__name__ if result["fault"] else None) == fault


@pytest.mark.parametrize("size", [1, 2, 31, 32])
@pytest.mark.parametrize("given_bytes", [0, 1, 30])
def test_a_constant_that_the_code_does_not_finish(size: int, given_bytes: int) -> None:
    """What it would push is never seen: there is no code left to see it."""
    code = bytes((0x5F + size,)) + b"\x5b" * min(given_bytes, size - 1)
    mine, theirs = (run(kind, code, b"", GAS) for kind in (EmbeddedComputation, PragueComputation))
    assert len(mine.pop("stack")) == len(theirs.pop("stack")) == 1
    assert mine == theirs


def test_a_jump_into_a_constant_is_told_from_a_jump_into_code() -> None:
    assert same(bytes.fromhex("6003565b"))["fault"] is None
    assert same(bytes.fromhex("6004566b5b5b"))["fault"] is not None


def test_gas_is_charged_to_the_unit() -> None:
    code = assemble("1 2 ADD POP")
    exact = 3 + 3 + 3 + 2
    assert same(code, gas=exact)["gas"] == 0
    assert same(code, gas=exact)["fault"] is None
    assert same(code, gas=exact - 1)["fault"] is not None


def test_the_fork_is_the_newest_that_py_evm_has() -> None:
    """When py-evm brings a later fork, this chain moves with it on purpose."""
    from eth.vm import forks

    assert hasattr(forks, "PragueVM")
    assert not hasattr(forks, "OsakaVM")
    assert PragueTransactionBuilder is not None
