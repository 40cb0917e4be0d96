"""People who collect tokens."""
