"""What was bought and what came back: facts that earning writes, and tiers and segments read."""
