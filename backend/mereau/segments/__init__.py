"""Saved groups of members: filters over what they did, lists, and the facts that both ask."""
