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
    op.create_table('earning_terms',
    sa.Column('id', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('win_back_after_days', sa.Integer(), nullable=False),
    sa.Column('claim_within_days', sa.Integer(), nullable=False),
    sa.Column('referral_minimum_minor', sa.BigInteger(), nullable=False),
    sa.Column('referral_within_days', sa.Integer(), nullable=False),
    sa.Column('referral_return_days', sa.Integer(), nullable=False),
    sa.Column('referral_cap', sa.Integer(), nullable=False),
    sa.Column('referral_cap_period', sa.String(), nullable=False),
    sa.Column('referral_link_base', sa.String(), nullable=True),
    sa.CheckConstraint('id = 1', name=op.f('ck_earning_terms_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_earning_terms'))
    )
    op.create_table('event_schemas',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('fields', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_event_schemas')),
    sa.UniqueConstraint('name', 'version', name=op.f('uq_event_schemas_name_version'))
    )
    op.create_table('actions',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('member_id', sa.Text(), nullable=False),
    sa.Column('partner_id', sa.Text(), nullable=True),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('external_id', sa.String(), nullable=False),
    sa.Column('type', sa.String(), nullable=False),
    sa.Column('schema_version', sa.Integer(), nullable=True),
    sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('attributes', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('inputs_digest', sa.LargeBinary(), nullable=False),
    sa.Column('tokens', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_actions_member_id')),
    sa.ForeignKeyConstraint(['partner_id'], ['partners.id'], name=op.f('fk_actions_partner_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_actions')),
    sa.UniqueConstraint('source', 'external_id', name=op.f('uq_actions_source_external_id'))
    )
    op.create_index('ix_actions_member_id_id', 'actions', ['member_id', 'id'], unique=False)
    op.create_table('referral_codes',
    sa.Column('member_id', sa.Text(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_referral_codes_member_id')),
    sa.PrimaryKeyConstraint('member_id', name=op.f('pk_referral_codes')),
    sa.UniqueConstraint('code', name=op.f('uq_referral_codes_code'))
    )
    op.create_table('referrals',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('referrer_id', sa.Text(), nullable=False),
    sa.Column('referred_id', sa.Text(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=True),
    sa.Column('is_capped', sa.Boolean(), nullable=False),
    sa.Column('sale_id', sa.Text(), nullable=True),
    sa.Column('qualified_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("state in ('pending', 'qualified', 'expired', 'refused', 'cancelled')", name=op.f('ck_referrals_state')),
    sa.ForeignKeyConstraint(['referred_id'], ['members.id'], name=op.f('fk_referrals_referred_id')),
    sa.ForeignKeyConstraint(['referrer_id'], ['members.id'], name=op.f('fk_referrals_referrer_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_referrals')),
    sa.UniqueConstraint('referred_id', name=op.f('uq_referrals_referred_id'))
    )
    op.create_index('ix_referrals_pending', 'referrals', ['expires_at'], unique=False, postgresql_where="state = 'pending'")
    op.create_index('ix_referrals_referrer_id_id', 'referrals', ['referrer_id', 'id'], unique=False)
    op.create_index('ix_referrals_sale_id', 'referrals', ['sale_id'], unique=False, postgresql_where='sale_id is not null')
    op.create_table('code_pools',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('partner_id', sa.Text(), nullable=True),
    sa.Column('campaign', sa.String(), nullable=True),
    sa.Column('object_reference', sa.String(), nullable=True),
    sa.Column('attributes', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('uses_per_code', sa.Integer(), nullable=False),
    sa.Column('valid_from', sa.DateTime(timezone=True), nullable=True),
    sa.Column('valid_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("status in ('active', 'closed')", name=op.f('ck_code_pools_status')),
    sa.CheckConstraint('uses_per_code > 0', name=op.f('ck_code_pools_uses_per_code')),
    sa.ForeignKeyConstraint(['partner_id'], ['partners.id'], name=op.f('fk_code_pools_partner_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_code_pools')),
    sa.UniqueConstraint('external_id', name=op.f('uq_code_pools_external_id'))
    )
    op.create_table('earning_codes',
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('pool_id', sa.Text(), nullable=False),
    sa.Column('uses_left', sa.Integer(), nullable=False),
    sa.CheckConstraint('uses_left >= 0', name=op.f('ck_earning_codes_uses_left')),
    sa.ForeignKeyConstraint(['pool_id'], ['code_pools.id'], name=op.f('fk_earning_codes_pool_id')),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_earning_codes'))
    )
    op.create_index('ix_earning_codes_pool_id', 'earning_codes', ['pool_id'], unique=False)
    op.create_table('code_claims',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('pool_id', sa.Text(), nullable=False),
    sa.Column('member_id', sa.Text(), nullable=False),
    sa.Column('tokens', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['digest'], ['earning_codes.digest'], name=op.f('fk_code_claims_digest')),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_code_claims_member_id')),
    sa.ForeignKeyConstraint(['pool_id'], ['code_pools.id'], name=op.f('fk_code_claims_pool_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_code_claims')),
    sa.UniqueConstraint('digest', 'member_id', name=op.f('uq_code_claims_digest_member_id'))
    )
    op.create_index('ix_code_claims_member_id', 'code_claims', ['member_id'], unique=False)
    op.create_table('attempts',
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('window_start', sa.DateTime(timezone=True), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('subject', name=op.f('pk_attempts'))
    )
    op.create_index('ix_attempts_window_start', 'attempts', ['window_start'], unique=False)
    op.add_column('sale_lines', sa.Column('eligible', sa.Boolean(), server_default='true', nullable=False))
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
    op.drop_column("sale_lines", "eligible")
    op.drop_table("attempts")
    op.drop_table("code_claims")
    op.drop_table("earning_codes")
    op.drop_table("code_pools")
    op.drop_table("referrals")
    op.drop_table("referral_codes")
    op.drop_table("actions")
    op.drop_table("event_schemas")
    op.drop_table("earning_terms")
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
