"""The catalogue."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")

def reward_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("terms", postgresql.JSONB(), server_default='{"kind": "service"}', nullable=False),
        sa.Column("description_fr", sa.Text(), server_default="", nullable=False),
        sa.Column("description_en", sa.Text(), server_default="", nullable=False),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("brand", sa.String(), nullable=True),
        sa.Column("labels", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("photos", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("featured_position", sa.Integer(), nullable=True),
        sa.Column("visible_from", INSTANT, nullable=True),
        sa.Column("visible_until", INSTANT, nullable=True),
        sa.Column("active_from", INSTANT, nullable=True),
        sa.Column("active_until", INSTANT, nullable=True),
        sa.Column("audience", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("tier_prices", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("limits", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("automatic_at_tokens", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    ]

def redemption_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("quantity", sa.Integer(), server_default="1", nullable=False),
        sa.Column("reward_version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("kind", sa.String(), server_default="service", nullable=False),
        sa.Column("promise", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("counted", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("location_id", sa.Text(), nullable=True),
        sa.Column("staff_id", sa.Text(), nullable=True),
        sa.Column("granted_at", INSTANT, nullable=True),
        sa.Column("refunded_at", INSTANT, nullable=True),
    ]



def upgrade() -> None:
    for column in reward_columns():
        op.add_column("rewards", column)
    op.drop_constraint(op.f("ck_rewards_price_tokens"), "rewards")
    op.create_check_constraint(op.f("ck_rewards_price_tokens"), "rewards", "price_tokens >= 0")
    for column in redemption_columns():
        op.add_column("redemptions", column)
    op.create_check_constraint(op.f("ck_redemptions_quantity"), "redemptions", "quantity > 0")
    _create_tables_of_rewards()
    _create_tables_of_redemptions()
    # The versions that redemptions of before name.
    op.execute("insert into reward_versions (reward_id, version, content) select id, 1, to_jsonb(rewards) from rewards")


def _create_tables_of_rewards() -> None:
    op.create_table(
        "reward_versions",
        sa.Column("reward_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["reward_id"], ["rewards.id"], name=op.f("fk_reward_versions_reward_id")),
        sa.PrimaryKeyConstraint("reward_id", "version", name=op.f("pk_reward_versions")),
    )
    op.create_table(
        "reward_counters",
        sa.Column("reward_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("starts_on", sa.String(), nullable=False),
        sa.Column("pieces", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("pieces >= 0", name=op.f("ck_reward_counters_pieces")),
        sa.ForeignKeyConstraint(["reward_id"], ["rewards.id"], name=op.f("fk_reward_counters_reward_id")),
        sa.PrimaryKeyConstraint("reward_id", "owner_id", "period", "starts_on", name=op.f("pk_reward_counters")),
    )
    op.create_table(
        "reward_codes",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reward_id", sa.Text(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("redemption_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["redemption_id"], ["redemptions.id"], name=op.f("fk_reward_codes_redemption_id")),
        sa.ForeignKeyConstraint(["reward_id"], ["rewards.id"], name=op.f("fk_reward_codes_reward_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_reward_codes")),
        sa.UniqueConstraint("reward_id", "code", name=op.f("uq_reward_codes_reward_id_code")),
    )
    op.create_index(
        "ix_reward_codes_free",
        "reward_codes",
        ["reward_id", "seq"],
        postgresql_where=sa.text("redemption_id is null"),
    )
    op.create_index("ix_reward_codes_redemption_id", "reward_codes", ["redemption_id"])


def _create_tables_of_redemptions() -> None:
    op.create_table(
        "lot_refunds",
        sa.Column("redeem_entry_id", sa.Text(), nullable=False),
        sa.Column("lot_entry_id", sa.Text(), nullable=False),
        sa.Column("origin_entry_id", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=True),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("withheld_tokens", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "tokens >= 0 and withheld_tokens >= 0 and tokens + withheld_tokens > 0", name=op.f("ck_lot_refunds_tokens")
        ),
        sa.CheckConstraint("(entry_id is null) = (tokens = 0)", name=op.f("ck_lot_refunds_entry")),
        sa.ForeignKeyConstraint(["entry_id"], ["lots.entry_id"], name=op.f("fk_lot_refunds_entry_id")),
        sa.ForeignKeyConstraint(["lot_entry_id"], ["lots.entry_id"], name=op.f("fk_lot_refunds_lot_entry_id")),
        sa.ForeignKeyConstraint(["origin_entry_id"], ["lots.entry_id"], name=op.f("fk_lot_refunds_origin_entry_id")),
        sa.ForeignKeyConstraint(["redeem_entry_id"], ["entries.id"], name=op.f("fk_lot_refunds_redeem_entry_id")),
        sa.PrimaryKeyConstraint("redeem_entry_id", "lot_entry_id", name=op.f("pk_lot_refunds")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_lot_refunds_entry_id")),
    )
    op.create_index("ix_lot_refunds_origin_entry_id", "lot_refunds", ["origin_entry_id"])
    op.create_table(
        "tickets",
        sa.Column("redemption_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("holder_name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["redemption_id"], ["redemptions.id"], name=op.f("fk_tickets_redemption_id")),
        sa.PrimaryKeyConstraint("redemption_id", "number", name=op.f("pk_tickets")),
    )
    op.create_table(
        "redemption_codes",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_redemption_codes_member_id")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_redemption_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_redemption_codes_digest")),
    )
    op.create_table(
        "redemption_code_misses",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_redemption_code_misses")),
    )
    op.create_table(
        "draw_entries",
        sa.Column("redemption_id", sa.Text(), nullable=False),
        sa.Column("draw", sa.String(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_draw_entries_member_id")),
        sa.ForeignKeyConstraint(["redemption_id"], ["redemptions.id"], name=op.f("fk_draw_entries_redemption_id")),
        sa.PrimaryKeyConstraint("redemption_id", name=op.f("pk_draw_entries")),
    )
    op.create_index("ix_draw_entries_draw", "draw_entries", ["draw", "redemption_id"])
    op.create_table(
        "reward_files",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=NOW, nullable=False),
        sa.CheckConstraint("size_bytes = octet_length(content)", name=op.f("ck_reward_files_size_bytes")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_reward_files")),
    )
    op.create_table(
        "download_links",
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("redemption_id", sa.Text(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("followed_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["redemption_id"], ["redemptions.id"], name=op.f("fk_download_links_redemption_id")),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_download_links")),
    )
    op.create_index("ix_download_links_redemption_id", "download_links", ["redemption_id"])


def downgrade() -> None:
    for table in (
        "download_links", "reward_files", "lot_refunds", "draw_entries", "redemption_code_misses", "redemption_codes", "tickets", "reward_codes", "reward_counters",
        "reward_versions",
    ):  # fmt: skip
        op.drop_table(table)
    op.drop_constraint(op.f("ck_redemptions_quantity"), "redemptions")
    for column in redemption_columns():
        op.drop_column("redemptions", column.name)
    op.drop_constraint(op.f("ck_rewards_price_tokens"), "rewards")
    op.create_check_constraint(op.f("ck_rewards_price_tokens"), "rewards", "price_tokens > 0")
    for column in reward_columns():
        op.drop_column("rewards", column.name)
