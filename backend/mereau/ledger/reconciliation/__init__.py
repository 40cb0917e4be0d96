"""Compares chain, mirror and ledger at one block."""
