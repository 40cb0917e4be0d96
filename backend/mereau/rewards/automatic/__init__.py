"""Rewards that members are given when their tokens reach a threshold."""
