"""Pick lists: what a workshop takes from its shelves, in the order of the shelves."""
