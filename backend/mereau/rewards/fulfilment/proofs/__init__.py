"""Proofs of what will be marked, to be approved before it is shipped."""
