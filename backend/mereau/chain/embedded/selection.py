"""Which block a parameter means: a tag, a number, or an EIP-1898 object. Nothing here is ever reorganised."""

from typing import Any

from mereau.chain.embedded import params
from mereau.chain.embedded.blocks import Header
from mereau.chain.embedded.chain import EmbeddedChain
from mereau.chain.embedded.errors import ChainError, InvalidParamsError
from mereau.chain.embedded.store import BlockRow

# A block is final when it is mined, and a pending block never waits.
_HEAD_TAGS = frozenset({"latest", "pending", "safe", "finalized"})


def number_of(chain: EmbeddedChain, value: Any) -> int:
    """The number that a tag or quantity names; it need not exist."""
    if _names_head(value):
        return chain.head.header.number
    return 0 if value == "earliest" else params.quantity(value)


def row_of(chain: EmbeddedChain, value: Any) -> BlockRow | None:
    """The block that a parameter names, None if there is none."""
    if isinstance(value, dict):
        return _row_of_object(chain, value)
    return chain.store.block(_storable(number_of(chain, value)))


def header_of(chain: EmbeddedChain, value: Any) -> Header:
    """The header of the block whose state is asked for. Raises geth's "header not found"."""
    if _names_head(value):
        return chain.head.header
    row = row_of(chain, value)
    if row is None:
        raise ChainError("header not found")
    return Header.decode(row.header)


def _names_head(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in _HEAD_TAGS)


def _row_of_object(chain: EmbeddedChain, value: dict[str, Any]) -> BlockRow | None:
    keys = set(value) - {"requireCanonical"}
    params.boolean(value.get("requireCanonical", False))
    if keys == {"blockHash"}:
        return chain.store.block_by_digest(params.digest(value["blockHash"]))
    if keys == {"blockNumber"}:
        return chain.store.block(_storable(number_of(chain, value["blockNumber"])))
    raise InvalidParamsError("a block object has either blockHash or blockNumber")


def _storable(number: int) -> int:
    # SQLite's integers end at 2^63; no block is that far.
    return min(number, 2**62)
