"""The command mereau."""
