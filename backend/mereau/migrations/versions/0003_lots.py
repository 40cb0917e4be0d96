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
    _adjustments()
    op.add_column(
        "chain_deployment", sa.Column("transfers_open", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column("chain_deployment", sa.Column("epoch_s", sa.Integer(), server_default="0", nullable=False))


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


def _adjustments() -> None:
    op.add_column("programs", sa.Column("adjustment_limits", postgresql.JSONB(), nullable=True))
    op.add_column("lots", sa.Column("corrected", sa.BigInteger(), server_default="0", nullable=False))
    op.create_check_constraint(op.f("ck_lots_corrected"), "lots", "corrected between 0 and tokens")
    op.create_table(
        "adjustments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=True),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("applied_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reason_code", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_note", sa.String(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("direction in ('credit', 'debit')", name=op.f("ck_adjustments_direction")),
        sa.CheckConstraint("state in ('pending_approval', 'applied', 'rejected')", name=op.f("ck_adjustments_state")),
        sa.CheckConstraint("tokens > 0", name=op.f("ck_adjustments_tokens")),
        sa.CheckConstraint(
            "(state = 'applied') = (applied_tokens is not null) and applied_tokens between 1 and tokens",
            name=op.f("ck_adjustments_applied"),
        ),
        sa.CheckConstraint("decided_by <> requested_by", name=op.f("ck_adjustments_two_people")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_adjustments_member_id")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_adjustments_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
    )
    op.create_index("ix_adjustments_partner_id_id", "adjustments", ["partner_id", "id"])
    op.create_index("ix_adjustments_member_id_id", "adjustments", ["member_id", "id"])
    op.create_table(
        "adjustment_counters",
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("tokens >= 0", name=op.f("ck_adjustment_counters_tokens")),
        sa.PrimaryKeyConstraint("subject_id", "day", name=op.f("pk_adjustment_counters")),
    )


def downgrade() -> None:
    op.drop_column("chain_deployment", "epoch_s")
    op.drop_column("chain_deployment", "transfers_open")
    op.drop_table("adjustment_counters")
    op.drop_table("adjustments")
    op.drop_column("lots", "corrected")
    op.drop_column("programs", "adjustment_limits")
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
