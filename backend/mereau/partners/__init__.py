"""Merchants who issue and honour tokens, their locations and staff."""
