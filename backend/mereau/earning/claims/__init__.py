"""Receipts that are claimed after the fact."""
