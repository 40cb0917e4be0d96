"""Goods that came back: what a return may say, and its tables."""
