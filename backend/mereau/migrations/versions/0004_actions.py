"""Profiles and consents of members, and what else than sales earns."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('members', sa.Column('email_key', sa.String(), nullable=True))
    op.add_column('members', sa.Column('phone', sa.String(), nullable=True))
    op.add_column('members', sa.Column('device_digest', sa.LargeBinary(), nullable=True))
    op.add_column('members', sa.Column('birth_date', sa.Date(), nullable=True))
    op.add_column('members', sa.Column('birth_date_set_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('members', sa.Column('attributes', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False))
    op.add_column('members', sa.Column('labels', postgresql.ARRAY(sa.Text()), server_default='{}', nullable=False))
    op.add_column('members', sa.Column('blocked_reason', sa.String(), nullable=True))
    op.create_index('ix_members_device_digest', 'members', ['device_digest'], unique=False, postgresql_where='device_digest is not null')
    op.create_index('ix_members_email_key', 'members', ['email_key'], unique=False, postgresql_where='email_key is not null')
    op.create_index('ix_members_phone', 'members', ['phone'], unique=False, postgresql_where='phone is not null')
    op.create_table('profile_requirements',
    sa.Column('field', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('field', name=op.f('pk_profile_requirements'))
    )
    op.create_table('consents',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('member_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('text_version', sa.String(), nullable=False),
    sa.Column('recorded_by', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("kind in ('newsletter', 'prospecting_email', 'prospecting_sms', 'profiling', 'terms')", name=op.f('ck_consents_kind')),
    sa.CheckConstraint("state in ('given', 'withdrawn')", name=op.f('ck_consents_state')),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_consents_member_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_consents')),
    sa.UniqueConstraint('member_id', 'kind', 'occurred_at', name=op.f('uq_consents_member_id_kind_occurred_at'))
    )
    op.create_table('payment_cards',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('member_id', sa.Text(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('name', sa.String(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_payment_cards_member_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payment_cards')),
    sa.UniqueConstraint('digest', name=op.f('uq_payment_cards_digest'))
    )
    op.create_index('ix_payment_cards_member_id', 'payment_cards', ['member_id'], unique=False)
    # The normal form of members.identity for the addresses that are there; folding by case and NFKC is the same
    # for all that people write.
    op.execute("""
        update members set email_key = case
            when domain in ('gmail.com', 'googlemail.com') then replace(local, '.', '') || '@gmail.com'
            else local || '@' || domain end
        from (
            select id as member_id, regexp_replace(split_part(folded, '@', 1), '(.)[+].*$', '\\1') as local,
                   split_part(folded, '@', 2) as domain
            from (select id, lower(normalize(email, NFKC)) as folded from members where email is not null) as members
        ) as parts
        where id = member_id
    """)



def downgrade() -> None:
    op.drop_table("payment_cards")
    op.drop_table("consents")
    op.drop_table("profile_requirements")
    op.drop_index("ix_members_device_digest", table_name="members")
    op.drop_index("ix_members_email_key", table_name="members")
    op.drop_index("ix_members_phone", table_name="members")
    op.drop_column("members", "blocked_reason")
    op.drop_column("members", "labels")
    op.drop_column("members", "attributes")
    op.drop_column("members", "birth_date_set_at")
    op.drop_column("members", "birth_date")
    op.drop_column("members", "device_digest")
    op.drop_column("members", "phone")
    op.drop_column("members", "email_key")
