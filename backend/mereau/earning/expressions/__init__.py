"""CEL in rules, within bounds."""
