"""Bringing in records of other systems."""
