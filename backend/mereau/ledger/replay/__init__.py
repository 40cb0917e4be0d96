"""The lots once more, from the entries alone: nothing that a lot says rests on its own row."""
