"""Reads a node and lets nothing pass that it cannot prove: headers hashed, linked, receipts under their root."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mereau.chain.block_transactions import UnknownTypeError, prove_transactions
from mereau.chain.errors import BlockUnknownError, ForeignChainError, MethodUnsupportedError, RpcError
from mereau.chain.faults import NodeBehindError, NodeFaultError
from mereau.chain.headers import Header, bloom_marks, check_links, may_hold, read_header
from mereau.chain.logs import EventRow, LogReader, TransferRow
from mereau.chain.receipts import prove_receipts
from mereau.chain.rpc import RpcClient, quantity

_LATEST: Final = "latest"
_FINALIZED: Final = "finalized"


class NodeView(NamedTuple):
    """What a node says at one instant. `here` is its block at the asked number, None where it has none."""

    head: Header
    here: Header | None
    finalized: Header | None

    def until(self, head: Header) -> "NodeView":
        """The same node, seen as if `head`, an older block of its chain, were its newest."""
        is_final = self.finalized is not None and self.finalized.number <= head.number
        return self._replace(head=head, finalized=self.finalized if is_final else None)


class Outcome(NamedTuple):
    """How a watched transaction ended."""

    transaction_hash: bytes
    block_number: int
    succeeded: bool


class ProvenBlock(NamedTuple):
    """A block with the contract's logs. Where there is any log or outcome, `transaction_hash`es are proven, too."""

    header: Header
    transfers: Sequence[TransferRow]
    events: Sequence[EventRow]
    outcomes: Sequence[Outcome]


class BlockReader:
    """Blocks of one chain with the logs of one contract. Every method may raise RpcUnavailableError.

    `unbound` says where transactions of a type that is not known here kept hashes from being proven.
    """

    def __init__(self, rpc: RpcClient, *, chain_id: int, contract: bytes) -> None:
        self._rpc = rpc
        self._chain_id = chain_id
        self._logs = LogReader(contract)
        self._marks = bloom_marks(contract)
        self._serves_block_receipts = True
        self.unbound: str | None = None

    async def look(self, number: int, *, tags: bool) -> NodeView:
        """The node's head, its block `number` and, with `tags`, its finalised block.

        Raises ForeignChainError where the node serves another chain.
        """
        wanted = [quantity(number), _LATEST, *([_FINALIZED] if tags else [])]
        chain_id, here, head, *finalized = await self._rpc.batch_outcomes(
            [("eth_chainId", ()), *(("eth_getBlockByNumber", (block, False)) for block in wanted)]
        )
        if isinstance(chain_id, RpcError):
            raise chain_id
        if chain_id != quantity(self._chain_id):
            raise ForeignChainError(f"the node serves chain {chain_id}, not {quantity(self._chain_id)}")
        newest = _optional_header(head)
        if newest is None:
            raise NodeBehindError("the node has no block")
        found = _optional_header(here)
        if found is not None:
            check_links([found], number, None)
        # Before a chain's first finalised block nodes answer with an error (-39001) instead of null.
        final = None if not finalized or isinstance(finalized[0], RpcError) else _optional_header(finalized[0])
        return NodeView(newest, found, final)

    async def header(self, number: int) -> Header:
        """The block `number`; NodeBehindError where the node does not have it."""
        return (await self.headers(number, number))[0]

    async def headers(self, first: int, last: int, parent_hash: bytes | None = None) -> list[Header]:
        """The blocks `first` to `last`, linked to each other and, where it is given, to `parent_hash`."""
        answers = await self._rpc.batch(
            [("eth_getBlockByNumber", (quantity(number), False)) for number in range(first, last + 1)]
        )
        if None in answers:
            raise NodeBehindError(f"the node does not have block {first + answers.index(None)}")
        headers = [read_header(answer) for answer in answers]
        check_links(headers, first, parent_hash)
        return headers

    async def prove(self, headers: Sequence[Header], watched: frozenset[str]) -> list[ProvenBlock]:
        """The blocks of `headers` with the contract's logs and the outcomes of `watched` transactions.

        Receipts are asked for only where the bloom filter or a watched transaction calls for them.
        """
        wanted = [
            header
            for header in headers
            if may_hold(header.bloom, self._marks) or not watched.isdisjoint(header.transactions)
        ]
        receipts, bodies = await asyncio.gather(self._receipts(wanted), self._bodies(wanted))
        answers = dict(zip((header.number for header in wanted), zip(receipts, bodies, strict=True), strict=True))
        return [
            self._block(header, *answers[header.number], watched)
            if header.number in answers
            else ProvenBlock(header, (), (), ())
            for header in headers
        ]

    def _block(self, header: Header, receipts: list[dict[str, Any]], body: Any, watched: frozenset[str]) -> ProvenBlock:
        proven = prove_receipts(header, receipts)
        transfers, events = self._logs.read(header.number, proven)
        outcomes = [
            Outcome(receipt.transaction_hash, header.number, succeeded=receipt.succeeded)
            for receipt, name in zip(proven, header.transactions, strict=True)
            if name in watched
        ]
        if events or outcomes:
            self._bind(header, body)
        return ProvenBlock(header, transfers, events, outcomes)

    def _bind(self, header: Header, body: Any) -> None:
        """Hold the hashes that stand beside events and outcomes against the header, where the types are known."""
        if body is None:
            raise NodeBehindError(f"the node does not have the transactions of block {header.number}")
        try:
            prove_transactions(header, body)
        except UnknownTypeError as error:
            self.unbound = f"block {header.number} holds {error}: its hashes are the node's word"

    async def _bodies(self, headers: Sequence[Header]) -> list[Any]:
        return await self._rpc.batch([("eth_getBlockByHash", (header.hash, True)) for header in headers])

    async def _receipts(self, headers: Sequence[Header]) -> list[list[dict[str, Any]]]:
        if self._serves_block_receipts:
            try:
                answers = await self._rpc.batch([("eth_getBlockReceipts", (header.hash,)) for header in headers])
            except MethodUnsupportedError:
                self._serves_block_receipts = False
            else:
                return _all_present(answers, headers)
        return await self._receipts_one_by_one(headers)

    async def _receipts_one_by_one(self, headers: Sequence[Header]) -> list[list[dict[str, Any]]]:
        answers = await self._rpc.batch(
            [("eth_getTransactionReceipt", (name,)) for header in headers for name in header.transactions]
        )
        taken = iter(answers)
        grouped = [[next(taken) for _ in header.transactions] for header in headers]
        missing = [None if None in receipts else receipts for receipts in grouped]
        return _all_present(missing, headers)


def _all_present(answers: Sequence[Any], headers: Sequence[Header]) -> list[list[dict[str, Any]]]:
    for header, answer in zip(headers, answers, strict=True):
        if answer is None:
            raise NodeBehindError(f"the node does not have the receipts of block {header.number}")
        if not isinstance(answer, list):
            raise NodeFaultError(f"block {header.number}: receipts are not a list")
    return list(answers)


def _optional_header(answer: Any) -> Header | None:
    if answer is None or isinstance(answer, BlockUnknownError):
        return None
    if isinstance(answer, RpcError):
        raise answer
    return read_header(answer)
