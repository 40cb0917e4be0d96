"""How long tokens live, what is done to lots by hand, and what is done once a day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "daily_runs",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("steps", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_step", sa.String(), nullable=True),
        sa.Column("failed_reason", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_daily_runs_failures")),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_daily_runs")),
    )
    _programs()
    _notices()
    _extensions()


def _programs() -> None:
    for column in ("activation_rule", "expiry_rule"):
        op.add_column("programs", sa.Column(column, postgresql.JSONB(), nullable=True))
    op.add_column(
        "programs", sa.Column("notice_days", postgresql.ARRAY(sa.Integer()), server_default="{}", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_programs_one_activation"), "programs", "activation_rule is null or activation_delay_s = 0"
    )
    op.create_check_constraint(
        op.f("ck_programs_one_expiry"), "programs", "expiry_rule is null or token_life_days is null"
    )


def _notices() -> None:
    op.create_table(
        "lot_notices",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("notice_days", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_lot_notices_member_id")),
        sa.PrimaryKeyConstraint("member_id", "expires_on", "notice_days", name=op.f("pk_lot_notices")),
    )


def _extensions() -> None:
    op.drop_constraint(op.f("ck_entries_kind"), "entries")
    op.create_check_constraint(
        op.f("ck_entries_kind"), "entries", "kind in ('issue', 'reverse', 'redeem', 'expire', 'extend')"
    )
    op.create_table(
        "lot_extensions",
        sa.Column("lot_entry_id", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("from_at < until_at", name=op.f("ck_lot_extensions_longer")),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_lot_extensions_entry_id")),
        sa.ForeignKeyConstraint(["lot_entry_id"], ["lots.entry_id"], name=op.f("fk_lot_extensions_lot_entry_id")),
        sa.PrimaryKeyConstraint("lot_entry_id", "entry_id", name=op.f("pk_lot_extensions")),
    )


def downgrade() -> None:
    op.drop_table("lot_extensions")
    op.execute("delete from entries where kind = 'extend'")
    op.drop_constraint(op.f("ck_entries_kind"), "entries")
    op.create_check_constraint(op.f("ck_entries_kind"), "entries", "kind in ('issue', 'reverse', 'redeem', 'expire')")
    op.drop_table("lot_notices")
    for constraint in ("one_activation", "one_expiry"):
        op.drop_constraint(op.f(f"ck_programs_{constraint}"), "programs")
    for column in ("activation_rule", "expiry_rule", "notice_days"):
        op.drop_column("programs", column)
    op.drop_table("daily_runs")
