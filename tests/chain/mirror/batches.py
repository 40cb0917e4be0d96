"""Rows as the relayer writes them, for the mirror to match."""

import hashlib
from collections.abc import Sequence
from itertools import count

from mereau.chain.models import Attempt, Batch, Order, Section, Transaction
from mereau.core.db import Base

_numbers = count(1)


def batch(
    kind: str,
    *,
    partner: int | None = None,
    sequence: int | None = None,
    trail_root: bytes | None = None,
    state: str = "submitted",
) -> Batch:
    return Batch(
        id=f"bat_{next(_numbers):05d}",
        kind=kind,
        partner_number=partner,
        sequence=sequence,
        trail_root=trail_root,
        sender=bytes(20),
        call_data=b"",
        order_count=1,
        tokens=0,
        gas_limit=0,
        state=state,
    )


def redemption(references: Sequence[bytes], *, state: str = "submitted") -> list[Base]:
    """A batch of redeem orders with these commitments."""
    head = batch("redeem", state=state)
    orders = [
        Order(
            id=f"ent_{next(_numbers):05d}",
            kind="redeem",
            partner_number=1,
            tokens=1,
            commitment=reference,
            state="sealed",
            batch_id=head.id,
            batch_index=index,
        )
        for index, reference in enumerate(references)
    ]
    return [head, *orders]


def admin(*hashes: bytes) -> list[Base]:
    """An admin batch with one signed attempt per hash."""
    head = batch("admin")
    sent = Transaction(id=f"txn_{next(_numbers):05d}", sender=bytes(20), nonce=next(_numbers), state="open")
    section = Section(transaction_id=sent.id, batch_id=head.id)
    attempts = [
        Attempt(hash=digest, transaction_id=sent.id, raw=b"", max_fee_per_gas_wei=1, max_priority_fee_per_gas_wei=1)
        for digest in hashes
    ]
    return [head, sent, section, *attempts]


def no_such_transaction(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
