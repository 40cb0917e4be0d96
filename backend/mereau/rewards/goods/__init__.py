"""What is given away: goods, their variants and stock."""
