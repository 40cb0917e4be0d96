"""Writes entries with their chain orders and events, and opens their lots."""
