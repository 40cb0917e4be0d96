"""The exact oracle: what the clients were promised, what the chain holds, and what everybody else says of it."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import text

from mereau.chain import contract
from mereau.chain.rpc import hex_bytes
from mereau.core.db import snapshot
from mereau.ledger.progress.service import CREDIT_REFUSED
from mereau.ledger.reconciliation.service import reconcile
from simulation.arena import ALLOWANCE, Arena
from simulation.clients import Clients, Operation

_LIMITED = 2
_UNSETTLED = """
    select o.id, o.kind, o.state, b.state as batch_state, b.detail
    from chain_orders o left join chain_batches b on b.id = o.batch_id
    where o.state = 'queued' or o.state = 'sealed' and b.state <> 'final'
    union all
    select id, kind, state, null, null from entries where state = 'pending'
    order by 1
"""
_CONSUMED = """
    select data ->> 'partner' as partner, array_agg((data ->> 'sequence')::int order by block_number, log_index) as seen
    from chain_events where name in ('Issued', 'Reversed') group by 1 order by 1
"""
_TOLD_TWICE = """
    select type, subject_id, count(*) as times from outbox_events
    where type in ('batch.final', 'entry.final', 'entry.rejected') group by 1, 2 having count(*) > 1
"""


async def unsettled(arena: Arena) -> list[str]:
    """What has not come to its end yet."""
    return [" ".join(str(part) for part in row if part is not None) for row in await _rows(arena, _UNSETTLED)]


async def violations(arena: Arena, clients: Clients) -> AsyncIterator[str]:
    """Everything that is not exactly as it must be, once all has come to its end."""
    entries = {row.id: row for row in await _rows(arena, "select id, kind, state, rejected_reason from entries")}
    for found in _entries_differ(entries, clients):
        yield found
    counted = [one for one in clients.accepted.values() if one.id in entries and entries[one.id].state == "accepted"]
    promised = _sums(arena, counted)
    held = await _balances(arena, "latest")
    for number, wallet in enumerate(arena.wallets):
        if held[wallet] != promised[wallet]:
            yield f"member {number} holds {held[wallet]} on chain and was promised {promised[wallet]}"
    async for found in _mirror_differs(arena, held):
        yield found
    async for found in _history_differs(arena):
        yield found
    if drift := await arena.world.drift():
        yield f"the ledger drifts by {drift} tokens"
    report = await reconcile(arena.engine, arena.rpc)
    for difference in report.differences:
        yield f"reconciliation: {difference}"
    issued = sum(one.tokens for one in counted if one.kind == "credit" and one.partner == _LIMITED)
    returned = sum(one.tokens for one in counted if one.kind == "reversal" and one.partner == _LIMITED)
    if issued - returned > ALLOWANCE:
        yield f"partner {_LIMITED} issued {issued - returned} tokens of an allowance of {ALLOWANCE}"


def _entries_differ(entries: dict[str, Any], clients: Clients) -> list[str]:
    """Entries that nobody asked for, that are missing, or that were rejected without a reason."""
    asked = clients.accepted
    found = [f"{key} was accepted and is lost" for key in asked.keys() - entries.keys()]
    found += [f"{key} was posted and never accepted" for key in entries.keys() - asked.keys()]
    poor = {one.member for one in asked.values() if _rejected(entries, one) and one.kind == "credit"}
    for one in asked.values():
        withdrawn = one.id in clients.withdrawn
        if withdrawn and not _rejected(entries, one):
            found.append(f"{one.id} was withdrawn and counts all the same")
        if _rejected(entries, one) and not withdrawn:
            reason = entries[one.id].rejected_reason
            if not _justified(one, reason, poor, one.id in clients.perhaps_withdrawn):
                found.append(f"{one.id} ({one.kind} at partner {one.partner}) was rejected without need: {reason}")
    return found


def _rejected(entries: dict[str, Any], one: Operation) -> bool:
    return one.id in entries and entries[one.id].state == "rejected"


def _justified(one: Operation, reason: str, poor: set[int], perhaps_withdrawn: bool) -> bool:
    if one.kind == "credit":
        return one.partner == _LIMITED and reason.startswith("LoyaltyAllowance")
    if perhaps_withdrawn and reason == "withdrawn":
        return True
    # Members who lost a credit may lose what they did with it.
    return one.member in poor and reason.startswith((CREDIT_REFUSED, "ERC20InsufficientBalance", "LoyaltyAllowance"))


def _sums(arena: Arena, operations: list[Operation]) -> Counter[bytes]:
    sums: Counter[bytes] = Counter()
    for one in operations:
        sums[arena.wallets[one.member]] += one.tokens if one.kind == "credit" else -one.tokens
    return sums


async def _balances(arena: Arena, block: str) -> dict[bytes, int]:
    calls = [contract.encode_call("balanceOf", wallet) for wallet in arena.wallets]
    answers = await arena.rpc.batch(
        [("eth_call", ({"to": arena.deployment.contract, "data": data}, block)) for data in calls]
    )
    return {wallet: int(answer, 16) for wallet, answer in zip(arena.wallets, answers, strict=True)}


async def _mirror_differs(arena: Arena, held: dict[bytes, int]) -> AsyncIterator[str]:
    call = {"to": arena.deployment.contract, "data": contract.encode_call("totalSupply")}
    head, supply = await arena.rpc.batch([("eth_getBlockByNumber", ("latest", False)), ("eth_call", (call, "latest"))])
    (state,) = await _rows(arena, "select * from chain_mirror")
    if (state.head_hash, state.frozen_reason) != (hex_bytes(head["hash"]), None):
        yield f"the mirror stands at {state.head_number} ({state.frozen_reason}), the node at {int(head['number'], 16)}"
    if not state.supply == int(supply, 16) == sum(held.values()):
        yield f"supply: mirror {state.supply}, chain {int(supply, 16)}, members {sum(held.values())}"
    rows = await _rows(arena, "select wallet, tokens from chain_balances where tokens <> 0")
    mirrored = {bytes(row.wallet): row.tokens for row in rows}
    if mirrored != {wallet: tokens for wallet, tokens in held.items() if tokens}:
        yield f"mirror and chain differ: {sorted(mirrored.values())} and {sorted(held.values())}"


async def _history_differs(arena: Arena) -> AsyncIterator[str]:
    """Sequences have neither gaps nor repetitions, and nothing came to its end twice."""
    for row in await _rows(arena, _CONSUMED):
        if row.seen != list(range(1, len(row.seen) + 1)):
            yield f"partner {row.partner}'s sequences are {row.seen}"
    references = await _rows(arena, "select data ->> 'reference' as name from chain_events where name = 'Redeemed'")
    for name, times in Counter(row.name for row in references).items():
        if times > 1:
            yield f"redemption {name} was burned {times} times"
    for row in await _rows(arena, _TOLD_TWICE):
        yield f"{row.type} was told {row.times} times of {row.subject_id}"


async def _rows(arena: Arena, query: str) -> list[Any]:
    async with snapshot(arena.engine) as session:
        return list((await session.execute(text(query))).all())
