"""Alembic environment: runs on a connection handed over by `mereau migrate`."""

from alembic import context

import mereau.auth.models
import mereau.chain.models
import mereau.earning.actions.models
import mereau.earning.attempts.models
import mereau.earning.codes.models
import mereau.earning.models
import mereau.earning.referrals.models
import mereau.earning.terms.models
import mereau.journal.models
import mereau.ledger.adjustments.models
import mereau.ledger.models
import mereau.members.models
import mereau.outbox.models
import mereau.partners.models
import mereau.programs.days.models
import mereau.programs.models
import mereau.rewards.downloads.models
import mereau.rewards.files.models
import mereau.rewards.fulfilment.models
import mereau.rewards.goods.models
import mereau.rewards.models
import mereau.rewards.objects.models
import mereau.rewards.surveys.models
import mereau.sales.models
import mereau.segments.models
import mereau.tiers.models
import mereau.wallets.models  # noqa: F401  (each import fills the metadata)
from mereau.core.db import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=False)
with context.begin_transaction():
    context.run_migrations()
