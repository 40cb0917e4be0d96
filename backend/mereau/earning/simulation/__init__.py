"""Dry runs: what an occasion would earn, without writing anything."""
