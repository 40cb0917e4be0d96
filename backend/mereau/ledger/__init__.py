"""Entries, lots, holds and the one door through which tokens move."""
