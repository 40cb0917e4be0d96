"""Turns what callers send into drafts: whose sale it is, and whether everything it names exists."""
