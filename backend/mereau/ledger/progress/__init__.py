"""What the chain reports changes in the ledger: mined, final, reorganised, rejected."""
