"""What members do that is no purchase, told by operators and partners."""
