"""What a filter may ask, and the one statement that it becomes."""
