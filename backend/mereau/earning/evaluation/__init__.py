"""What an occasion earns by which rules, and why not by the others."""
