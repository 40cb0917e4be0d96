"""Credits: what they write, when they count, what is refused."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import event

from factories.ledger import LedgerWorld
from mereau.chain.hashing import keccak
from mereau.core.errors import InvalidInputError, NotFoundError
from mereau.ledger import domain

DAY = timedelta(days=1)


async def test_a_credit_is_available_at_once_and_ordered_on_chain(world: LedgerWorld) -> None:
    entry_id = await world.credit(120)
    assert await world.counters() == (120, 0, 0, 0)
    order = (await world.orders())[entry_id]
    assert (order.kind, order.partner_number, order.tokens, order.state) == ("issue", 1, 120, "queued")
    assert await world.statuses(entry_id) == ["accepted"]
    (told,) = await world.events("entry.accepted")
    assert (told.subject_id, told.payload["tokens"], told.payload["kind"]) == (entry_id, 120, "issue")


async def test_the_order_commits_to_the_record_that_the_entry_holds(world: LedgerWorld) -> None:
    entry_id = await world.credit(7, life=30 * DAY)
    (entry,) = await world.rows("select * from entries")
    lot = await world.lot(entry_id)
    record = (
        f'{{"at":"{domain.instant_text(entry.occurred_at)}","document":"0x'
        + keccak(entry.document_salt + f"sal:{entry.source_reference}".encode()).hex()
        + f'","expires_at":"{domain.instant_text(lot.expires_at)}","id":"{entry_id}","kind":"issue","partner":1,'
        f'"reason":"sale","rule":"base:1","tokens":7,"v":1,"wallet":"0x{entry.wallet.hex()}"}}'
    )
    assert (await world.orders())[entry_id].commitment == keccak(entry.record_salt + record.encode())


async def test_no_personal_data_enters_the_record(world: LedgerWorld) -> None:
    await world.credit(7)
    (entry,) = await world.rows("select * from entries")
    assert len(entry.document_salt) == len(entry.record_salt) == 16
    assert entry.document_salt != entry.record_salt
    assert "Ada" not in str(entry)


async def test_a_later_activation_stays_pending_and_off_chain(world: LedgerWorld) -> None:
    entry_id = await world.credit(50, delay=DAY)
    assert await world.counters() == (0, 50, 0, 0)
    assert await world.orders() == {}
    assert await world.statuses(entry_id) == ["pending"]


async def test_thousands_of_credits_take_as_many_statements_as_one(world: LedgerWorld) -> None:
    statements: list[str] = []
    event.listen(world.engine.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    await world.post(world.a_credit(1))
    one = len(statements)
    statements.clear()
    await world.post(*(world.a_credit(index + 1, member=index % 2) for index in range(2000)))
    # The second member's wallet is new, as the first one's was: both calls lock the branch.
    assert len(statements) == one
    assert (await world.balance(0)).available + (await world.balance(1)).available == 1 + 2000 * 2001 // 2
    assert await world.drift() == 0


async def test_no_credits_are_no_work(world: LedgerWorld) -> None:
    assert await world.post() == []


async def test_several_credits_of_one_member_add_up(world: LedgerWorld) -> None:
    posted = await world.post(world.a_credit(1), world.a_credit(2, member=1), world.a_credit(4))
    assert [(entry.tokens, entry.state) for entry in posted] == [(1, "accepted"), (2, "accepted"), (4, "accepted")]
    assert (await world.counters(0))[0] == 5
    assert posted[0].wallet == posted[2].wallet != posted[1].wallet


@pytest.mark.parametrize("tokens", [0, -1, 2**53])
async def test_tokens_out_of_range_are_refused(world: LedgerWorld, tokens: int) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await world.post(world.a_credit(5), world.a_credit(tokens))
    assert [found.pointer for found in refusal.value.errors] == ["/1/tokens"]
    assert await world.orders() == {}


async def test_the_largest_credit_is_accepted(world: LedgerWorld) -> None:
    await world.credit(2**53 - 1)
    assert (await world.balance()).available == 2**53 - 1


async def test_an_unknown_reason_is_refused(world: LedgerWorld) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await world.credit(5, reason_code="Ada Lovelace bought a cake")
    assert [found.code for found in refusal.value.errors] == ["unknown"]


async def test_an_unknown_partner_is_refused(world: LedgerWorld) -> None:
    with pytest.raises(NotFoundError):
        await world.credit(5, partner_id="par_none")


async def test_an_entry_counts_once(world: LedgerWorld) -> None:
    item = world.a_credit(5)
    await world.post(item)
    with pytest.raises(psycopg.IntegrityError):
        await world.post(replace(item, tokens=6))
    assert await world.counters() == (5, 0, 0, 0)
