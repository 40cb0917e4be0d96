"""Who holds which address. No private key is ever in a table."""

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt, Id, IdKey
from mereau.core.db import Base


class Wallet(Base):
    """One address. `branch` and `derivation_index` name the BIP-44 child of a managed wallet.

    Branches: 0 members, 1 partners, 2 roles (owner_id is then the role's name: admin, partner_admin,
    expirer, pauser, relayer).
    """

    __tablename__ = "wallets"
    __table_args__ = (
        UniqueConstraint("owner_kind", "owner_id"),
        UniqueConstraint("branch", "derivation_index"),
        Index("ix_wallets_address", "address", unique=True),
        CheckConstraint("owner_kind in ('member', 'partner', 'role')", name="owner_kind"),
        CheckConstraint("custody in ('managed', 'self')", name="custody"),
        CheckConstraint("(custody = 'managed') = (derivation_index is not null)", name="derivation"),
        CheckConstraint("octet_length(address) = 20", name="address_length"),
    )

    id: Mapped[IdKey]
    owner_kind: Mapped[str]
    owner_id: Mapped[Id]
    custody: Mapped[str]
    branch: Mapped[int | None]
    derivation_index: Mapped[int | None] = mapped_column(BigInteger)
    address: Mapped[Bytes]
    created_at: Mapped[CreatedAt]


class WalletBranch(Base):
    """The public half of one BIP-44 branch: derives addresses without any private key (BIP-32, CKDpub).

    `next_index` is the next free child; taking some is one UPDATE ... RETURNING, which is the branch's lock.
    """

    __tablename__ = "wallet_branches"

    branch: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    public_key: Mapped[Bytes]
    chain_code: Mapped[Bytes]
    next_index: Mapped[int] = mapped_column(BigInteger)
