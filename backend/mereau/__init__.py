"""Mereau: a self-hosted loyalty ledger whose balances anyone can verify on chain."""
