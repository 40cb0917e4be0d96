"""py-evm's computation with a shorter path through the opcodes that contracts execute most.

py-evm spends six calls on an ADD. Here the stack holds only integers, constant gas is charged in the loop,
and the plain opcodes are one function each. Everything with rules of its own (storage, logs, calls,
creation) stays py-evm's; a test runs random programs through both and compares them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from eth.abc import ComputationAPI, MessageAPI, StateAPI, TransactionContextAPI
from eth.exceptions import (
    FullStack,
    Halt,
    InsufficientStack,
    InvalidInstruction,
    InvalidJumpDestination,
    OutOfGas,
)
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.logic.invalid import InvalidOpcode
from eth.vm.memory import Memory
from eth.vm.stack import Stack
from eth_hash.auto import keccak

# An instruction takes the computation, its stack and its own position, and returns the next position.
Instruction = Callable[[Any, list[int], int], int]

_WORD = 2**256
_WORD_SIZE, _WORD_BITS = 32, 256
_MASK = _WORD - 1
_SIGN = 2**255
_STACK_MAX = 1024
_JUMPDEST, _PUSH1, _PUSH32 = 0x5B, 0x60, 0x7F
_GAS_KECCAK_WORD = 6
_CODES_MAX = 16


class _IntegerStack(Stack):
    """py-evm's stack, holding integers only, so that nobody has to ask what a value is."""

    def push_bytes(self, value: bytes) -> None:
        self.push_int(int.from_bytes(value, "big"))


class _WordMemory(Memory):
    def word(self, start: int) -> int:
        return int.from_bytes(self._bytes[start : start + _WORD_SIZE], "big")

    def set_word(self, start: int, value: int) -> None:
        self._bytes[start : start + _WORD_SIZE] = value.to_bytes(_WORD_SIZE, "big")


class EmbeddedComputation(PragueComputation):
    """One message's execution under Prague rules."""

    def __init__(self, state: StateAPI, message: MessageAPI, transaction_context: TransactionContextAPI) -> None:
        super().__init__(state, message, transaction_context)
        self._stack = _IntegerStack()
        self._memory = self.memory = _WordMemory()
        self.stack_values = self._stack.values
        self.program = bytes(message.code)
        self.destinations = _destinations(self.program)

    @classmethod
    def apply_computation(
        cls,
        state: StateAPI,
        message: MessageAPI,
        transaction_context: TransactionContextAPI,
        parent_computation: ComputationAPI | None = None,
    ) -> ComputationAPI:
        with cls(state, message, transaction_context) as computation:
            if parent_computation is not None:
                computation.contracts_created = parent_computation.contracts_created
            elif computation.is_origin_computation:
                computation.contracts_created = []
                if message.is_create:
                    cls.consume_initcode_gas_cost(computation)
            if message.is_create:
                computation.contracts_created.append(message.storage_address)
            precompile = computation.precompiles.get(message.code_address)
            if precompile is None:
                _run(computation)
            elif not message.is_delegation:
                precompile(computation)
        return computation


def _run(computation: Any) -> None:
    program, stack, meter = computation.program, computation.stack_values, computation.get_gas_meter()
    position, end = 0, len(program)
    try:
        while position < end:
            opcode = program[position]
            remaining = meter.gas_remaining - _GAS[opcode]
            if remaining < 0:
                raise OutOfGas(f"Out of gas: opcode 0x{opcode:02x} at {position}")
            meter.gas_remaining = remaining
            position = _INSTRUCTIONS[opcode](computation, stack, position)
    except Halt:
        return
    except IndexError as error:
        raise InsufficientStack(f"Insufficient stack at {position}") from error


@lru_cache(maxsize=_CODES_MAX)
def _destinations(program: bytes) -> frozenset[int]:
    found: list[int] = []
    position = 0
    while position < len(program):
        opcode = program[position]
        if opcode == _JUMPDEST:
            found.append(position)
        position += opcode - _PUSH1 + 2 if _PUSH1 <= opcode <= _PUSH32 else 1
    return frozenset(found)


def _inherited(opcode: int) -> Instruction:
    """py-evm's own instruction, which charges all of its gas itself."""
    implementation = PragueComputation.opcodes.get(opcode) or InvalidOpcode(opcode)

    def instruction(computation: Any, stack: list[int], position: int) -> int:
        computation.code.program_counter = position + 1
        implementation(computation)
        return position + 1

    return instruction


def _binary(operation: Callable[[int, int], int]) -> Instruction:
    def instruction(computation: Any, stack: list[int], position: int) -> int:
        top = stack.pop()
        stack[-1] = operation(top, stack[-1])
        return position + 1

    return instruction


def _unary(operation: Callable[[int], int]) -> Instruction:
    def instruction(computation: Any, stack: list[int], position: int) -> int:
        stack[-1] = operation(stack[-1])
        return position + 1

    return instruction


def _push(size: int) -> Instruction:
    def instruction(computation: Any, stack: list[int], position: int) -> int:
        if len(stack) >= _STACK_MAX:
            raise FullStack("Stack limit reached")
        after = position + 1 + size
        # Code that ends inside the constant ends here: nobody sees the value, so it is not padded.
        stack.append(int.from_bytes(computation.program[position + 1 : after], "big"))
        return after

    return instruction


def _dup(depth: int) -> Instruction:
    def instruction(computation: Any, stack: list[int], position: int) -> int:
        if len(stack) >= _STACK_MAX:
            raise FullStack("Stack limit reached")
        stack.append(stack[-depth])
        return position + 1

    return instruction


def _swap(depth: int) -> Instruction:
    def instruction(computation: Any, stack: list[int], position: int) -> int:
        stack[-1], stack[-depth] = stack[-depth], stack[-1]
        return position + 1

    return instruction


def _pop(computation: Any, stack: list[int], position: int) -> int:
    stack.pop()
    return position + 1


def _jumpdest(computation: Any, stack: list[int], position: int) -> int:
    return position + 1


def _jump(computation: Any, stack: list[int], position: int) -> int:
    return _destination(computation, stack.pop())


def _jumpi(computation: Any, stack: list[int], position: int) -> int:
    target, condition = stack.pop(), stack.pop()
    return _destination(computation, target) if condition else position + 1


def _destination(computation: Any, target: int) -> int:
    if target not in computation.destinations:
        program = computation.program
        if target < len(program) and program[target] == _JUMPDEST:
            raise InvalidInstruction("Jump resulted in invalid instruction")
        raise InvalidJumpDestination("Invalid Jump Destination")
    return target


def _calldataload(computation: Any, stack: list[int], position: int) -> int:
    start = stack[-1]
    word = bytes(computation.msg.data[start : start + _WORD_SIZE])
    stack[-1] = int.from_bytes(word, "big") << 8 * (_WORD_SIZE - len(word))
    return position + 1


def _mload(computation: Any, stack: list[int], position: int) -> int:
    start = stack[-1]
    if start + _WORD_SIZE > len(computation.memory):
        computation.extend_memory(start, _WORD_SIZE)
    stack[-1] = computation.memory.word(start)
    return position + 1


def _mstore(computation: Any, stack: list[int], position: int) -> int:
    start, value = stack.pop(), stack.pop()
    if start + _WORD_SIZE > len(computation.memory):
        computation.extend_memory(start, _WORD_SIZE)
    computation.memory.set_word(start, value)
    return position + 1


def _keccak(computation: Any, stack: list[int], position: int) -> int:
    start, size = stack.pop(), stack.pop()
    computation.extend_memory(start, size)
    computation.consume_gas(_GAS_KECCAK_WORD * ((size + 31) // 32), "KECCAK256")
    stack.append(int.from_bytes(keccak(computation.memory.read_bytes(start, size)), "big"))
    return position + 1


def _byte(index: int, value: int) -> int:
    return (value >> 8 * (_WORD_SIZE - 1 - index)) & 0xFF if index < _WORD_SIZE else 0


def _shl(shift: int, value: int) -> int:
    return (value << shift) & _MASK if shift < _WORD_BITS else 0


def _shr(shift: int, value: int) -> int:
    return value >> shift if shift < _WORD_BITS else 0


def _signed(value: int) -> int:
    return value - _WORD if value >= _SIGN else value


# Opcode: gas (the Yellow Paper's base, verylow, low, mid, high) and instruction.
_FAST: dict[int, tuple[int, Instruction]] = {
    0x01: (3, _binary(lambda a, b: (a + b) & _MASK)),
    0x02: (5, _binary(lambda a, b: (a * b) & _MASK)),
    0x03: (3, _binary(lambda a, b: (a - b) & _MASK)),
    0x04: (5, _binary(lambda a, b: a // b if b else 0)),
    0x06: (5, _binary(lambda a, b: a % b if b else 0)),
    0x10: (3, _binary(lambda a, b: 1 if a < b else 0)),
    0x11: (3, _binary(lambda a, b: 1 if a > b else 0)),
    0x12: (3, _binary(lambda a, b: 1 if _signed(a) < _signed(b) else 0)),
    0x13: (3, _binary(lambda a, b: 1 if _signed(a) > _signed(b) else 0)),
    0x14: (3, _binary(lambda a, b: 1 if a == b else 0)),
    0x15: (3, _unary(lambda a: 0 if a else 1)),
    0x16: (3, _binary(lambda a, b: a & b)),
    0x17: (3, _binary(lambda a, b: a | b)),
    0x18: (3, _binary(lambda a, b: a ^ b)),
    0x19: (3, _unary(lambda a: a ^ _MASK)),
    0x1A: (3, _binary(_byte)),
    0x1B: (3, _binary(_shl)),
    0x1C: (3, _binary(_shr)),
    0x20: (30, _keccak),
    0x35: (3, _calldataload),
    0x50: (2, _pop),
    0x51: (3, _mload),
    0x52: (3, _mstore),
    0x56: (8, _jump),
    0x57: (10, _jumpi),
    0x5B: (1, _jumpdest),
    0x5F: (2, _push(0)),
    **{0x5F + size: (3, _push(size)) for size in range(1, 33)},
    **{0x7F + depth: (3, _dup(depth)) for depth in range(1, 17)},
    **{0x8F + depth: (3, _swap(depth + 1)) for depth in range(1, 17)},
}
_GAS: list[int] = [_FAST[opcode][0] if opcode in _FAST else 0 for opcode in range(256)]
_INSTRUCTIONS: list[Instruction] = [
    _FAST[opcode][1] if opcode in _FAST else _inherited(opcode) for opcode in range(256)
]
