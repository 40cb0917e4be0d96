"""Who holds which address. Addresses come from the branches' public halves; the seed is not needed here."""

from collections.abc import Sequence
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConfigurationError
from mereau.core.ids import new_id
from mereau.wallets import derivation, repository
from mereau.wallets.derivation import PublicNode
from mereau.wallets.domain import ROLES, Branch
from mereau.wallets.keystore import Seed
from mereau.wallets.repository import NewWallet

__all__ = [
    "addresses_of",
    "all_member_addresses",
    "ensure_member_wallets",
    "ensure_partner_wallet",
    "ensure_role_wallets",
    "init_branches",
]


async def init_branches(session: WriteSession, seed: Seed) -> None:
    """Store the public halves of the seed's branches; a no-op the second time.

    ConfigurationError where the database holds another seed's branches: its members' keys would be lost.
    """
    nodes = {b: derivation.public_half(derivation.branch_node(seed.value, b.value)) for b in Branch}
    for branch, node in nodes.items():
        await repository.add_branch(session, branch, node.public_key, node.chain_code)
    stored = await repository.branches(session)
    for branch, node in nodes.items():
        if (stored[branch].public_key, stored[branch].chain_code) != (node.public_key, node.chain_code):
            raise ConfigurationError(
                "The keystore does not belong to this database. Restore the keystore that it was set up with."
            )


async def _ensure(session: WriteSession, branch: Branch, owner_ids: Sequence[str], now: datetime) -> dict[str, bytes]:
    """Owner id -> address; wallets are added for those who have none, in the order given."""
    wanted = list(dict.fromkeys(owner_ids))
    known = await repository.addresses(session, branch, wanted)
    if len(known) == len(wanted):
        return known
    row = await repository.lock_branch(session, branch)
    if row is None:
        raise ConfigurationError("The wallets are not set up. Run `mereau up`, which makes the keystore.")
    # Somebody may have added some while this waited for the lock.
    known = await repository.addresses(session, branch, wanted)
    parent = PublicNode(row.public_key, row.chain_code)
    missing = (owner_id for owner_id in wanted if owner_id not in known)
    added = [
        NewWallet(
            new_id("wal", now),
            owner_id,
            index,
            derivation.address_of(derivation.public_child(parent, index).public_key),
        )
        for index, owner_id in enumerate(missing, row.next_index)
    ]
    if added:
        await repository.add(session, branch, added, now)
    return known | {wallet.owner_id: wallet.address for wallet in added}


async def ensure_member_wallets(session: WriteSession, member_ids: Sequence[str], now: datetime) -> dict[str, bytes]:
    """Member id -> 20-byte address, with new managed wallets where there were none.

    A constant number of statements. Locks the branch until the transaction ends if any wallet is new, so take
    wallets before account locks, and all of a transaction's at once.
    """
    return await _ensure(session, Branch.MEMBER, member_ids, now)


async def ensure_partner_wallet(session: WriteSession, partner_id: str) -> bytes:
    """The address whose key signs the partner's orders."""
    now = await repository.transaction_time(session)
    return (await _ensure(session, Branch.PARTNER, [partner_id], now))[partner_id]


async def ensure_role_wallets(session: WriteSession) -> dict[str, bytes]:
    """Role -> address, for every role of the installation (see `domain.ROLES`)."""
    return await _ensure(session, Branch.ROLE, ROLES, await repository.transaction_time(session))


async def addresses_of(session: ReadSession | WriteSession, member_ids: Sequence[str]) -> dict[str, bytes]:
    """Member id -> address, of those who have one."""
    return await repository.addresses(session, Branch.MEMBER, member_ids)


async def all_member_addresses(session: ReadSession | WriteSession) -> dict[str, bytes]:
    """Every member's address, by member id."""
    return await repository.member_addresses(session)
