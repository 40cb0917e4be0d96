"""Partners and their limits on their way to the contract."""

import pytest

from factories.ledger import LedgerWorld
from mereau.chain import contract
from mereau.core.db import transaction
from mereau.core.errors import InvalidInputError, NotFoundError
from mereau.ledger.registry import service as registry
from mereau.wallets import service as wallets


async def register(world: LedgerWorld, index: int = 0) -> str | None:
    async with transaction(world.engine) as session:
        return await registry.register_partner(session, world.partners[index], world.now, actor="operator:1")


async def allow(world: LedgerWorld, allowance: int | None, cap: int | None, partner_id: str | None = None) -> None:
    async with transaction(world.engine) as session:
        await registry.set_allowance(
            session,
            partner_id or world.partners[0].id,
            allowance_tokens=allowance,
            period_cap_tokens=cap,
            now=world.now,
            actor="operator:1",
        )


async def calls(world: LedgerWorld) -> list[object]:
    rows = await world.rows("select call_data from chain_orders order by seq")
    return [contract.decode_call(row.call_data) for row in rows]


async def test_a_partner_is_registered_by_the_partner_admins_key(world: LedgerWorld) -> None:
    order_id = await register(world, 1)
    (order,) = await world.rows("select * from chain_orders")
    async with transaction(world.engine) as session:
        roles = await wallets.ensure_role_wallets(session)
        signer = await wallets.ensure_partner_wallet(session, world.partners[1].id)
    assert (order.id, order.kind, order.partner_number, order.tokens) == (order_id, "admin", 2, 0)
    assert order.sender == roles["partner_admin"]
    unlimited = contract.UNLIMITED
    expected = contract.encode_call("setPartner", 2, signer, unlimited, unlimited, True)
    assert order.call_data == expected


async def test_registering_again_orders_nothing_new(world: LedgerWorld) -> None:
    assert await register(world) is not None
    assert await register(world) is None
    assert len(await calls(world)) == 1


async def test_a_rejected_registration_may_be_ordered_again(world: LedgerWorld) -> None:
    first = await register(world)
    assert first is not None
    await world.reject(first)
    assert await register(world) not in {None, first}


async def test_limits_travel_and_may_return_to_what_they_were(world: LedgerWorld) -> None:
    for allowance, cap in ((100, 10), (200, None), (100, 10), (100, 10)):
        await allow(world, allowance, cap)
    told = [(call[1]["allowance"], call[1]["periodCap"]) for call in await calls(world) if isinstance(call, tuple)]
    assert told == [(100, 10), (200, contract.UNLIMITED), (100, 10)]
    (partner,) = await world.rows("select * from partners where number = 1")
    assert (partner.allowance_tokens, partner.period_cap_tokens) == (100, 10)


async def test_a_suspended_partner_is_registered_as_inactive(world: LedgerWorld) -> None:
    await world.write("update partners set status = 'inactive'")
    await allow(world, 100, None)
    ((_, arguments),) = [call for call in await calls(world) if isinstance(call, tuple)]
    assert arguments["active"] is False


async def test_each_order_is_journalled_under_who_gave_it(world: LedgerWorld) -> None:
    order_id = await register(world)
    (act,) = await world.rows("select * from journal_entries")
    assert (act.actor, act.action, act.subject_id) == ("operator:1", "partner.registered", world.partners[0].id)
    assert act.detail["order_id"] == order_id


@pytest.mark.parametrize(("allowance", "cap"), [(-1, None), (None, -1), (2**53, None)])
async def test_limits_out_of_range_are_refused(world: LedgerWorld, allowance: int | None, cap: int | None) -> None:
    with pytest.raises(InvalidInputError):
        await allow(world, allowance, cap)
    assert await calls(world) == []


async def test_an_unknown_partner_is_not_found(world: LedgerWorld) -> None:
    with pytest.raises(NotFoundError):
        await allow(world, 1, 1, "par_none")
