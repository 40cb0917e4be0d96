"""Earning rules side by side."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("earning_rules", sa.Column("trigger", sa.String(), server_default="sale", nullable=False))
    op.add_column(
        "earning_rules", sa.Column("segment_ids", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)
    )
    op.drop_index("uq_earning_rules_active", table_name="earning_rules")
    op.create_index(
        "uq_earning_rules_active", "earning_rules", ["external_id"], unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_table(
        "earning_counters",
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("exhausted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("uses >= 0 and tokens >= 0 and seen >= 0", name=op.f("ck_earning_counters_counted")),
        sa.PrimaryKeyConstraint("rule", "member_id", "period", "starts_at", name=op.f("pk_earning_counters")),
    )
    op.create_table(
        "earning_steps",
        sa.Column("sale_id", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_earning_steps_sale_id")),
        sa.PrimaryKeyConstraint("sale_id", "rule", name=op.f("pk_earning_steps")),
    )
    op.create_table(
        "earning_occasions",
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_earning_occasions_member_id")),
        sa.PrimaryKeyConstraint("trigger", "source_id", "member_id", name=op.f("pk_earning_occasions")),
    )
    op.create_table(
        "sale_credits",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("sale_id", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("reversed_tokens", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("reversed_tokens between 0 and tokens", name=op.f("ck_sale_credits_reversed_tokens")),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_sale_credits_sale_id")),
        sa.PrimaryKeyConstraint("entry_id", "line_number", name=op.f("pk_sale_credits")),
    )
    op.create_index(op.f("ix_sale_credits_sale_id"), "sale_credits", ["sale_id"])


def downgrade() -> None:
    op.drop_table("sale_credits")
    op.drop_table("earning_occasions")
    op.drop_table("earning_steps")
    op.drop_table("earning_counters")
    op.drop_index("uq_earning_rules_active", table_name="earning_rules")
    op.create_index(
        "uq_earning_rules_active", "earning_rules", ["status"], unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.drop_column("earning_rules", "segment_ids")
    op.drop_column("earning_rules", "trigger")
