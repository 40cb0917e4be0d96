"""Tiers and segments."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")


def instant(name: str, *, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, **options)


def number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    _tiers()
    _segments()


def _tiers() -> None:
    op.create_table(
        "tier_sets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        instant("created_at", server_default=NOW),
        instant("activated_at", nullable=True),
        sa.CheckConstraint("status in ('draft', 'active', 'retired')", name=op.f("ck_tier_sets_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_sets")),
        sa.UniqueConstraint("version", name=op.f("uq_tier_sets_version")),
    )
    op.create_index(
        "uq_tier_sets_status", "tier_sets", ["status"], unique=True, postgresql_where=sa.text("status <> 'retired'")
    )
    op.create_table(
        "tiers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        number("threshold"),
        sa.Column("name_fr", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("description_fr", sa.String(), nullable=True),
        sa.Column("description_en", sa.String(), nullable=True),
        sa.Column("picture_url", sa.String(), nullable=True),
        sa.Column("benefits", postgresql.JSONB(), nullable=False),
        instant("created_at", server_default=NOW),
        sa.CheckConstraint("status in ('active', 'retired')", name=op.f("ck_tiers_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tiers")),
        sa.UniqueConstraint("external_id", name=op.f("uq_tiers_external_id")),
    )
    op.create_index("uq_tiers_rank", "tiers", ["rank"], unique=True, postgresql_where=sa.text("status = 'active'"))
    op.create_table(
        "tier_standings",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("tier_id", sa.Text(), nullable=True),
        instant("since"),
        instant("below_since", nullable=True),
        sa.Column("assigned_by", sa.String(), nullable=True),
        instant("assigned_until", nullable=True),
        sa.Column("assigned_reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_tier_standings_member_id")),
        sa.ForeignKeyConstraint(["tier_id"], ["tiers.id"], name=op.f("fk_tier_standings_tier_id")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_tier_standings")),
    )
    for column in ("below_since", "assigned_until"):
        op.create_index(
            f"ix_tier_standings_{column}", "tier_standings", [column],
            postgresql_where=sa.text(f"{column} is not null"),
        )
    op.create_table(
        "tier_changes",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("from_tier_id", sa.Text(), nullable=True),
        sa.Column("to_tier_id", sa.Text(), nullable=True),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("figures", postgresql.JSONB(), nullable=False),
        sa.Column("actor", sa.String(), nullable=True),
        instant("at"),
        sa.CheckConstraint("direction in ('joined', 'up', 'down', 'kept')", name=op.f("ck_tier_changes_direction")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_tier_changes_member_id")),
        sa.ForeignKeyConstraint(["from_tier_id"], ["tiers.id"], name=op.f("fk_tier_changes_from_tier_id")),
        sa.ForeignKeyConstraint(["to_tier_id"], ["tiers.id"], name=op.f("fk_tier_changes_to_tier_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_tier_changes")),
    )
    op.create_index("ix_tier_changes_member_id_seq", "tier_changes", ["member_id", "seq"])
    op.create_table(
        "tier_passes",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("set_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("after_id", sa.Text(), nullable=False),
        number("evaluated"),
        number("changed"),
        instant("started_at"),
        instant("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("day", "set_version", name=op.f("pk_tier_passes")),
    )


def _segments() -> None:
    op.create_table(
        "segments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name_fr", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("filter", postgresql.JSONB(), nullable=True),
        number("member_count"),
        number("entered_count"),
        number("left_count"),
        instant("refreshed_at", nullable=True),
        instant("queued_at", nullable=True),
        instant("started_at", nullable=True),
        instant("created_at", server_default=NOW),
        sa.CheckConstraint("(kind = 'static') = (filter is null)", name=op.f("ck_segments_filter")),
        sa.CheckConstraint("kind in ('dynamic', 'static')", name=op.f("ck_segments_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("external_id", name=op.f("uq_segments_external_id")),
    )
    op.create_table(
        "segment_members",
        sa.Column("segment_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        instant("since"),
        sa.PrimaryKeyConstraint("segment_id", "member_id", name=op.f("pk_segment_members")),
    )
    op.create_table(
        "member_facts",
        sa.Column("member_id", sa.Text(), nullable=False),
        number("purchases"),
        number("amount_minor"),
        instant("first_purchase_at", nullable=True),
        instant("last_purchase_at", nullable=True),
        number("year_purchases"),
        number("year_amount_minor"),
        sa.Column("recency", sa.SmallInteger(), nullable=True),
        sa.Column("frequency", sa.SmallInteger(), nullable=True),
        sa.Column("monetary", sa.SmallInteger(), nullable=True),
        sa.Column("lifecycle", sa.String(), nullable=False),
        sa.CheckConstraint(
            "lifecycle in ('new', 'regular', 'champion', 'at_risk', 'lapsed')", name=op.f("ck_member_facts_lifecycle")
        ),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_member_facts")),
    )
    op.create_table(
        "member_facts_state",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        instant("as_of", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member_facts_state")),
    )


def downgrade() -> None:
    for table in (
        "member_facts_state", "member_facts", "segment_members", "segments",
        "tier_passes", "tier_changes", "tier_standings", "tiers", "tier_sets",
    ):
        op.drop_table(table)
