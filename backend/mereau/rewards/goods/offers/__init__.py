"""Which goods a reward brings."""
