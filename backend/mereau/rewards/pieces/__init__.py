"""Pieces that redemptions take from stock, limits and pools of codes."""
