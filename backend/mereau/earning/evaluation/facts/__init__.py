"""What rules look at."""
