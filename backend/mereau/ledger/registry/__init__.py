"""Partners in the contract registry: their signers and limits."""
