"""Hash-chained log of who did what."""
