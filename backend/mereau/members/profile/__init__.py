"""What a member tells of themselves, and what the programme makes of it."""
