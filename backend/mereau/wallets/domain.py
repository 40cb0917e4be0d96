"""Branches and roles of the programme's managed keys. Pure."""

from enum import IntEnum
from typing import Final


class Branch(IntEnum):
    """The third step of the derivation path: whose keys descend from it."""

    MEMBER = 0
    PARTNER = 1
    ROLE = 2


ROLES: Final = ("admin", "partner_admin", "expirer", "pauser", "relayer")
"""The keys of the installation itself; all but the relayer's have a role in the contract."""


def owner_kind(branch: Branch) -> str:
    """How the wallets table calls the owners of a branch."""
    return branch.name.lower()
