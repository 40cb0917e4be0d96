"""Who moves from one tier to another, in chunks."""
