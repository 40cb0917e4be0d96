"""Credits and debits by hand: with a reason, within limits, and by two people where they are large."""
