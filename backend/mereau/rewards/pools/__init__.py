"""Codes of other shops, uploaded by the operator and drawn by redemptions."""
