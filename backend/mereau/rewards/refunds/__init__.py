"""Giving tokens back for what was granted and not used."""
