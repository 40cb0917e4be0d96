"""How many pieces of a reward may be had, by one member or by all."""
