"""Tokens from one member to another: why this contract knows none."""
