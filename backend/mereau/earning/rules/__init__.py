"""Versions of earning rules."""
