"""What returns take from the counters of rules."""
