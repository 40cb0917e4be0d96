"""Brand and labels of a sold line, the channel of a sale."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sales", sa.Column("channel", sa.String(), nullable=True))
    op.add_column("sale_lines", sa.Column("brand", sa.String(), nullable=True))
    op.add_column("sale_lines", sa.Column("labels", sa.ARRAY(sa.Text()), server_default="{}", nullable=False))


def downgrade() -> None:
    op.drop_column("sale_lines", "labels")
    op.drop_column("sale_lines", "brand")
    op.drop_column("sales", "channel")
