"""Giving the tokens of a redemption back after its burn."""
