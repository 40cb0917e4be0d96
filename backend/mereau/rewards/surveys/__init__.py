"""One question after each delivery."""
