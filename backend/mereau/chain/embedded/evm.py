"""Execution: py-evm's Prague rules over a World, without its blocks, databases and second validations."""

from collections.abc import Iterable
from typing import NamedTuple, cast

from eth.abc import AccountDatabaseAPI, ComputationAPI, SignedTransactionAPI
from eth.constants import ZERO_HASH32
from eth.exceptions import OutOfGas
from eth.typing import JournalDBCheckpoint
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague.state import PragueState, PragueTransactionExecutor
from eth_typing import Address, BlockNumber, Hash32

from mereau.chain.embedded.blocks import Header, Log
from mereau.chain.embedded.interpreter import EmbeddedComputation
from mereau.chain.embedded.transactions import Transaction
from mereau.chain.embedded.world import World

Snapshot = tuple[Hash32, JournalDBCheckpoint]


class EmbeddedState(PragueState):
    """py-evm's view of a World: snapshots and transient storage live in the world's one undo list."""

    computation_class = EmbeddedComputation

    def __init__(self, world: World, context: ExecutionContext) -> None:
        self.execution_context = context
        self._account_db = cast("AccountDatabaseAPI", world)
        self.world = world

    def snapshot(self) -> Snapshot:
        return Hash32(b""), JournalDBCheckpoint(self.world.snapshot())

    def revert(self, snapshot: Snapshot) -> None:
        self.world.revert(snapshot[1])

    def commit(self, snapshot: Snapshot) -> None:
        pass

    def get_transient_storage(self, address: bytes, slot: int) -> bytes:
        return self.world.get_transient_storage(address, slot)

    def set_transient_storage(self, address: bytes, slot: int, value: bytes) -> None:
        self.world.set_transient_storage(address, slot, value)


class Outcome(NamedTuple):
    """What one execution did. `gas_peak` is what it needed before refunds, the limit it must be given."""

    succeeded: bool
    reverted: bool
    exhausted: bool
    reason: str
    output: bytes
    gas_used: int
    gas_peak: int
    logs: list[Log]


def context_of(header: Header, ancestors: Iterable[bytes], chain_id: int) -> ExecutionContext:
    """The block that contracts see; `ancestors` are the hashes before it, nearest first."""
    return ExecutionContext(
        coinbase=Address(header.coinbase),
        timestamp=header.timestamp,
        block_number=BlockNumber(header.number),
        difficulty=0,
        mix_hash=ZERO_HASH32,
        gas_limit=header.gas_limit,
        prev_hashes=map(Hash32, ancestors),
        chain_id=chain_id,
        base_fee_per_gas=header.base_fee,
        excess_blob_gas=0,
    )


def execute(world: World, context: ExecutionContext, transaction: Transaction) -> Outcome:
    """Run one transaction that was checked before: its nonce, funds, fees and gas are not checked again."""
    world.begin_transaction()
    executor = PragueTransactionExecutor(EmbeddedState(world, context))
    signed = cast("SignedTransactionAPI", transaction)
    message = executor.build_evm_message(signed)
    computation = executor.build_computation(message, signed)
    gas_before = transaction.gas - computation.get_gas_remaining()
    refund = executor.calculate_gas_refund(computation, gas_before)
    executor.finalize_computation(signed, computation)
    floor = transaction.floor_gas
    return Outcome(
        succeeded=computation.is_success,
        reverted=computation.is_error and not computation.should_burn_gas,
        exhausted=computation.is_error and isinstance(computation.error, OutOfGas),
        reason=_reason(computation),
        output=bytes(computation.output),
        gas_used=max(gas_before - refund, floor),
        gas_peak=max(gas_before, floor),
        logs=_logs(computation),
    )


def _reason(computation: ComputationAPI) -> str:
    return "" if computation.is_success else f"{computation.error}" or type(computation.error).__name__


def _logs(computation: ComputationAPI) -> list[Log]:
    return [
        (address, [topic.to_bytes(32, "big") for topic in topics], data)
        for address, topics, data in computation.get_log_entries()
    ]
