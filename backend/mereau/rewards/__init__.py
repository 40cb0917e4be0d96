"""Catalogue, redemptions and vouchers."""
