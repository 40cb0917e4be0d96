"""Physical rewards."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('goods',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('partner_id', sa.Text(), nullable=False),
    sa.Column('name_fr', sa.String(), nullable=False),
    sa.Column('name_en', sa.String(), nullable=False),
    sa.Column('text_fr', sa.String(), nullable=True),
    sa.Column('text_en', sa.String(), nullable=True),
    sa.Column('supplier', sa.String(), nullable=False),
    sa.Column('cost_minor', sa.BigInteger(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('approved_by_key_id', sa.Text(), nullable=True),
    sa.Column('approved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("status in ('draft', 'approved', 'withdrawn')", name=op.f('ck_goods_status')),
    sa.CheckConstraint('cost_minor >= 0', name=op.f('ck_goods_cost_minor')),
    sa.ForeignKeyConstraint(['partner_id'], ['partners.id'], name=op.f('fk_goods_partner_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_goods')),
    sa.UniqueConstraint('external_id', name=op.f('uq_goods_external_id'))
    )
    op.create_table('pick_lists',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('partner_id', sa.Text(), nullable=False),
    sa.Column('created_by_key_id', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['partner_id'], ['partners.id'], name=op.f('fk_pick_lists_partner_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pick_lists'))
    )
    op.create_table('goods_offers',
    sa.Column('reward_id', sa.Text(), nullable=False),
    sa.Column('personalisation', sa.String(), nullable=False),
    sa.Column('proof_by', sa.String(), nullable=False),
    sa.CheckConstraint("personalisation in ('none', 'text', 'logo')", name=op.f('ck_goods_offers_personalisation')),
    sa.CheckConstraint("proof_by in ('operator', 'member')", name=op.f('ck_goods_offers_proof_by')),
    sa.ForeignKeyConstraint(['reward_id'], ['rewards.id'], name=op.f('fk_goods_offers_reward_id')),
    sa.PrimaryKeyConstraint('reward_id', name=op.f('pk_goods_offers'))
    )
    op.create_table('goods_variants',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('goods_id', sa.Text(), nullable=False),
    sa.Column('sku', sa.Text(), nullable=False),
    sa.Column('size', sa.String(), nullable=True),
    sa.Column('colour', sa.String(), nullable=True),
    sa.Column('on_hand', sa.BigInteger(), nullable=False),
    sa.Column('reserved', sa.BigInteger(), nullable=False),
    sa.Column('buffer', sa.BigInteger(), nullable=False),
    sa.Column('alert_at', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('buffer >= 0 and alert_at >= 0', name=op.f('ck_goods_variants_levels')),
    sa.CheckConstraint('reserved >= 0 and on_hand >= reserved', name=op.f('ck_goods_variants_stock')),
    sa.ForeignKeyConstraint(['goods_id'], ['goods.id'], name=op.f('fk_goods_variants_goods_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_goods_variants')),
    sa.UniqueConstraint('goods_id', 'size', 'colour', name=op.f('uq_goods_variants_goods_id_size_colour'), postgresql_nulls_not_distinct=True),
    sa.UniqueConstraint('sku', name=op.f('uq_goods_variants_sku'))
    )
    op.create_table('deliveries',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('redemption_id', sa.Text(), nullable=False),
    sa.Column('member_id', sa.Text(), nullable=False),
    sa.Column('partner_id', sa.Text(), nullable=False),
    sa.Column('reward_id', sa.Text(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=True),
    sa.Column('cleared_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('proof', sa.String(), nullable=False),
    sa.Column('proof_by', sa.String(), nullable=False),
    sa.Column('pick_list_id', sa.Text(), nullable=True),
    sa.Column('carrier', sa.String(), nullable=True),
    sa.Column('tracking_number', sa.String(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("proof in ('none', 'awaited', 'submitted', 'approved', 'refused')", name=op.f('ck_deliveries_proof')),
    sa.CheckConstraint("proof_by in ('operator', 'member')", name=op.f('ck_deliveries_proof_by')),
    sa.CheckConstraint("state in ('ordered', 'prepared', 'shipped', 'delivered', 'returned', 'cancelled')", name=op.f('ck_deliveries_state')),
    sa.CheckConstraint("state not in ('shipped', 'delivered') or cleared_at is not null", name=op.f('ck_deliveries_cleared_gate')),
    sa.CheckConstraint("state not in ('shipped', 'delivered') or proof in ('none', 'approved')", name=op.f('ck_deliveries_proof_gate')),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_deliveries_member_id')),
    sa.ForeignKeyConstraint(['partner_id'], ['partners.id'], name=op.f('fk_deliveries_partner_id')),
    sa.ForeignKeyConstraint(['pick_list_id'], ['pick_lists.id'], name=op.f('fk_deliveries_pick_list_id')),
    sa.ForeignKeyConstraint(['redemption_id'], ['redemptions.id'], name=op.f('fk_deliveries_redemption_id')),
    sa.ForeignKeyConstraint(['reward_id'], ['rewards.id'], name=op.f('fk_deliveries_reward_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deliveries')),
    sa.UniqueConstraint('redemption_id', name=op.f('uq_deliveries_redemption_id'))
    )
    op.create_index('ix_deliveries_member_id', 'deliveries', ['member_id', 'id'], unique=False)
    op.create_index('ix_deliveries_open', 'deliveries', ['partner_id', 'id'], unique=False, postgresql_where="state = 'ordered' and pick_list_id is null")
    op.create_index('ix_deliveries_pick_list_id', 'deliveries', ['pick_list_id'], unique=False)
    op.create_table('goods_movements',
    sa.Column('seq', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('variant_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('on_hand_change', sa.BigInteger(), nullable=False),
    sa.Column('reserved_change', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('delivery_id', sa.Text(), nullable=True),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("kind in ('received', 'reserved', 'released', 'shipped', 'returned', 'counted', 'written_off')", name=op.f('ck_goods_movements_kind')),
    sa.ForeignKeyConstraint(['variant_id'], ['goods_variants.id'], name=op.f('fk_goods_movements_variant_id')),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_goods_movements'))
    )
    op.create_index('ix_goods_movements_variant_id', 'goods_movements', ['variant_id', 'seq'], unique=False)
    op.create_table('goods_offer_items',
    sa.Column('reward_id', sa.Text(), nullable=False),
    sa.Column('slot', sa.Integer(), nullable=False),
    sa.Column('goods_id', sa.Text(), nullable=False),
    sa.Column('pieces', sa.Integer(), nullable=False),
    sa.CheckConstraint('pieces > 0', name=op.f('ck_goods_offer_items_pieces')),
    sa.ForeignKeyConstraint(['goods_id'], ['goods.id'], name=op.f('fk_goods_offer_items_goods_id')),
    sa.ForeignKeyConstraint(['reward_id'], ['goods_offers.reward_id'], name=op.f('fk_goods_offer_items_reward_id')),
    sa.PrimaryKeyConstraint('reward_id', 'slot', 'goods_id', name=op.f('pk_goods_offer_items'))
    )
    op.create_table('delivery_files',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('delivery_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('media_type', sa.String(), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.CheckConstraint("kind in ('logo', 'proof')", name=op.f('ck_delivery_files_kind')),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_delivery_files_delivery_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delivery_files'))
    )
    op.create_index('ix_delivery_files_delivery_id', 'delivery_files', ['delivery_id'], unique=False)
    op.create_table('delivery_lines',
    sa.Column('delivery_id', sa.Text(), nullable=False),
    sa.Column('line_number', sa.Integer(), nullable=False),
    sa.Column('variant_id', sa.Text(), nullable=False),
    sa.Column('pieces', sa.Integer(), nullable=False),
    sa.CheckConstraint('pieces > 0', name=op.f('ck_delivery_lines_pieces')),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_delivery_lines_delivery_id')),
    sa.ForeignKeyConstraint(['variant_id'], ['goods_variants.id'], name=op.f('fk_delivery_lines_variant_id')),
    sa.PrimaryKeyConstraint('delivery_id', 'line_number', name=op.f('pk_delivery_lines'))
    )
    op.create_table('delivery_proofs',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('delivery_id', sa.Text(), nullable=False),
    sa.Column('file_id', sa.Text(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('remarks', sa.String(), nullable=True),
    sa.Column('decided_by_key_id', sa.Text(), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("state in ('submitted', 'approved', 'refused')", name=op.f('ck_delivery_proofs_state')),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_delivery_proofs_delivery_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delivery_proofs'))
    )
    op.create_index('ix_delivery_proofs_delivery_id', 'delivery_proofs', ['delivery_id'], unique=False)
    op.create_index('uq_delivery_proofs_submitted', 'delivery_proofs', ['delivery_id'], unique=True, postgresql_where="state = 'submitted'")
    op.create_table('delivery_recipients',
    sa.Column('delivery_id', sa.Text(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('line_1', sa.String(), nullable=False),
    sa.Column('line_2', sa.String(), nullable=True),
    sa.Column('postal_code', sa.String(), nullable=False),
    sa.Column('city', sa.String(), nullable=False),
    sa.Column('country', sa.String(), nullable=False),
    sa.Column('phone', sa.String(), nullable=True),
    sa.Column('marking_text', sa.String(), nullable=True),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_delivery_recipients_delivery_id')),
    sa.PrimaryKeyConstraint('delivery_id', name=op.f('pk_delivery_recipients'))
    )
    op.create_table('goods_objects',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('delivery_id', sa.Text(), nullable=False),
    sa.Column('line_number', sa.Integer(), nullable=False),
    sa.Column('variant_id', sa.Text(), nullable=False),
    sa.Column('partner_id', sa.Text(), nullable=False),
    sa.Column('owner_member_id', sa.Text(), nullable=False),
    sa.Column('code_digest', sa.LargeBinary(), nullable=False),
    sa.Column('activated_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('taken_back_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.String(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("outcome in ('reused', 'recycled', 'upcycled', 'discarded')", name=op.f('ck_goods_objects_outcome')),
    sa.CheckConstraint('(taken_back_at is null) = (outcome is null)', name=op.f('ck_goods_objects_taken_back')),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_goods_objects_delivery_id')),
    sa.ForeignKeyConstraint(['owner_member_id'], ['members.id'], name=op.f('fk_goods_objects_owner_member_id')),
    sa.ForeignKeyConstraint(['partner_id'], ['partners.id'], name=op.f('fk_goods_objects_partner_id')),
    sa.ForeignKeyConstraint(['variant_id'], ['goods_variants.id'], name=op.f('fk_goods_objects_variant_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_goods_objects'))
    )
    op.create_index('ix_goods_objects_code_digest', 'goods_objects', ['code_digest'], unique=True)
    op.create_index('ix_goods_objects_delivery_id', 'goods_objects', ['delivery_id', 'line_number'], unique=False)
    op.create_table('surveys',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('delivery_id', sa.Text(), nullable=False),
    sa.Column('member_id', sa.Text(), nullable=False),
    sa.Column('partner_id', sa.Text(), nullable=False),
    sa.Column('code_digest', sa.LargeBinary(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('score', sa.Integer(), nullable=True),
    sa.Column('comment', sa.String(), nullable=True),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('(answered_at is null) = (score is null)', name=op.f('ck_surveys_answered')),
    sa.CheckConstraint('score between 0 and 10', name=op.f('ck_surveys_score')),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_surveys_delivery_id')),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_surveys_member_id')),
    sa.ForeignKeyConstraint(['partner_id'], ['partners.id'], name=op.f('fk_surveys_partner_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_surveys')),
    sa.UniqueConstraint('delivery_id', name=op.f('uq_surveys_delivery_id'))
    )
    op.create_index('ix_surveys_asked_at', 'surveys', ['asked_at'], unique=False)
    op.create_index('ix_surveys_code_digest', 'surveys', ['code_digest'], unique=True)


def downgrade() -> None:
    op.drop_index('ix_surveys_code_digest', table_name='surveys')
    op.drop_index('ix_surveys_asked_at', table_name='surveys')
    op.drop_table('surveys')
    op.drop_index('ix_goods_objects_delivery_id', table_name='goods_objects')
    op.drop_index('ix_goods_objects_code_digest', table_name='goods_objects')
    op.drop_table('goods_objects')
    op.drop_table('delivery_recipients')
    op.drop_index('uq_delivery_proofs_submitted', table_name='delivery_proofs', postgresql_where="state = 'submitted'")
    op.drop_index('ix_delivery_proofs_delivery_id', table_name='delivery_proofs')
    op.drop_table('delivery_proofs')
    op.drop_table('delivery_lines')
    op.drop_index('ix_delivery_files_delivery_id', table_name='delivery_files')
    op.drop_table('delivery_files')
    op.drop_table('goods_offer_items')
    op.drop_index('ix_goods_movements_variant_id', table_name='goods_movements')
    op.drop_table('goods_movements')
    op.drop_index('ix_deliveries_pick_list_id', table_name='deliveries')
    op.drop_index('ix_deliveries_open', table_name='deliveries', postgresql_where="state = 'ordered' and pick_list_id is null")
    op.drop_index('ix_deliveries_member_id', table_name='deliveries')
    op.drop_table('deliveries')
    op.drop_table('goods_variants')
    op.drop_table('goods_offers')
    op.drop_table('pick_lists')
    op.drop_table('goods')
