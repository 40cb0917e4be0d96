"""The canaries: an oracle that finds nothing proves nothing, so that each kind of damage is done once."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from mereau.chain import contract
from mereau.chain.contract import OrderDomain
from mereau.chain.hashing import keccak
from mereau.chain.rpc import quantity
from simulation import oracle
from simulation.arena import Arena
from simulation.breaks import Breaker
from simulation.clients import Operation
from simulation.hands import Hands
from simulation.simulate import Outcome, calm_down
from simulation.storm import Storm

pytestmark = pytest.mark.node

CREDITS = [Operation(f"ent_{number}", "credit", number % 3, number % 2, 10 + number) for number in range(4)]
HOLD = Operation("ent_hold", "hold", 0, 1, 3)


@pytest.fixture
async def storm(arena: Arena) -> AsyncIterator[Storm]:
    """Five operations that came to their end without any storm."""
    head = await arena.restore()
    storm = Storm(arena, random.Random(1), Hands(arena, head), Breaker(), [])
    await storm.clients.ask([*CREDITS, HOLD], storm.api_now)
    outcome = Outcome(1)
    await calm_down(arena, storm, outcome)
    assert outcome.violations == []
    yield storm
    await storm.close()


async def found(arena: Arena, storm: Storm) -> list[str]:
    return [violation async for violation in oracle.violations(arena, storm.clients)]


async def issue_again(arena: Arena, storm: Storm) -> None:
    """What the first order issued, under the partner's next sequence."""
    read = {"to": arena.deployment.contract, "data": contract.encode_call("partnerSequence", 1)}
    sequence = int(await arena.rpc.call("eth_call", read, "latest"), 16) + 1
    packed, root = contract.pack_list([(arena.wallets[0], 10)]), keccak(b"again")
    domain = OrderDomain(arena.deployment.chain_id, arena.deployment.contract)
    terms = {"to": arena.deployment.contract, "data": contract.encode_call("partnerOf", 1)}
    signer = contract.decode_partner(bytes.fromhex((await arena.rpc.call("eth_call", terms, "latest"))[2:])).signer
    (signature,) = await arena.signer.sign([(signer, domain.issue_digest(1, sequence, root, packed))])
    (bank, *_) = await arena.rpc.call("eth_accounts")
    data = contract.encode_call("issue", 1, sequence, root, packed, signature)
    call = {"from": bank, "to": arena.deployment.contract, "data": data, "gas": quantity(1_000_000)}
    await arena.rpc.call("eth_sendTransaction", call)
    await storm.hands.mine()
    await storm.mirrors[0].live()


async def lose(arena: Arena, storm: Storm) -> None:
    """A client has the ledger's word for something that is nowhere."""
    storm.clients.accepted["ent_lost"] = Operation("ent_lost", "credit", 1, 1, 5)


async def deny(arena: Arena, storm: Storm) -> None:
    """Something is there for which nobody asked."""
    del storm.clients.accepted["ent_2"]


def writing(statement: str) -> Callable[[Arena, Storm], Awaitable[None]]:
    async def damage(arena: Arena, storm: Storm) -> None:
        await arena.world.write(statement)

    return damage


async def stay_behind(arena: Arena, storm: Storm) -> None:
    await storm.hands.mine()


async def withdraw(arena: Arena, storm: Storm) -> None:
    storm.clients.withdrawn.add("ent_hold")


DAMAGE: dict[str, tuple[Callable[[Arena, Storm], Awaitable[None]], str]] = {
    "doubled": (issue_again, "member 0 holds 30 on chain and was promised 20"),
    "lost": (lose, "ent_lost was accepted and is lost"),
    "unasked": (deny, "ent_2 was posted and never accepted"),
    "mirror off by one": (
        writing("update chain_balances set tokens = tokens + 1 where tokens > 12"),
        "mirror and chain differ",
    ),
    "supply off by one": (writing("update chain_mirror set supply = supply + 1"), "supply: mirror"),
    "mirror behind": (stay_behind, "the mirror stands at"),
    "mirror frozen": (writing("update chain_mirror set frozen_reason = 'doubt'"), "(doubt)"),
    "ledger off by one": (
        writing("update accounts set available = available + 1 where available > 12"),
        "the ledger drifts by",
    ),
    "lot off by one": (
        writing("update lots set tokens = tokens + 1, remaining = remaining + 1 where entry_id = 'ent_1'"),
        "the ledger drifts by",
    ),
    "rejected without need": (
        writing("update entries set state = 'rejected', rejected_reason = 'whim' where id = 'ent_3'"),
        "ent_3 (credit at partner 1) was rejected without need: whim",
    ),
    "withdrawn and burned": (withdraw, "ent_hold was withdrawn and counts all the same"),
    "a gap in a sequence": (
        writing("update chain_events set data = data || '{\"sequence\": \"7\"}' where name = 'Issued'"),
        "sequences are [7",
    ),
    "burned twice": (
        writing(
            "insert into chain_events select block_number, log_index + 90, transaction_hash, name, data"
            " from chain_events where name = 'Redeemed'"
        ),
        "was burned 2 times",
    ),
    "told twice": (
        writing(
            "insert into outbox_events (id, type, subject_id, payload)"
            " select 'again', type, subject_id, payload from outbox_events where type = 'entry.final'"
        ),
        "entry.final was told 2 times of ent_hold",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
async def test_the_oracle_notices(arena: Arena, storm: Storm, kind: str) -> None:
    damage, words = DAMAGE[kind]
    assert await found(arena, storm) == []
    await damage(arena, storm)
    violations = await found(arena, storm)
    assert any(words in violation for violation in violations), violations


async def test_what_is_open_is_told_by_name(arena: Arena, storm: Storm) -> None:
    assert await oracle.unsettled(arena) == []
    await storm.clients.ask([Operation("ent_new", "credit", 1, 1, 5)], storm.api_now)
    await storm.clients.ask([Operation("ent_later", "credit", 1, 1, 5, delay_s=9)], storm.api_now)
    assert await oracle.unsettled(arena) == ["ent_later issue pending", "ent_new issue queued"]


@contextmanager
def killed_relayers(storm: Storm) -> Iterator[None]:
    """Relayers that do nothing any more."""
    relayers, storm.relayers = storm.relayers, []
    yield
    storm.relayers = relayers


async def test_what_does_not_end_in_time_is_a_violation(arena: Arena, storm: Storm) -> None:
    await storm.clients.ask([Operation("ent_new", "credit", 1, 1, 5)], storm.api_now)
    outcome = Outcome(2)
    with killed_relayers(storm):
        await calm_down(arena, storm, outcome)
    assert outcome.violations == ["open after 60 s: ent_new issue queued"]
