"""Ordered tiers: how they are reached and kept, who holds which, and what they give."""
