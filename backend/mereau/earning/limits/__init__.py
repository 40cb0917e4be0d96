"""How often rules fired and what they gave, in counters that parallel requests cannot overrun."""
