"""What is done once on each day of the programme, and how far today is."""
