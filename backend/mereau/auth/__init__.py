"""Who is calling: API keys, roles, scopes and idempotency keys."""
