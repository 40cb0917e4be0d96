"""More time for tokens that would expire."""
