"""What members agreed to, when, and under which text."""
