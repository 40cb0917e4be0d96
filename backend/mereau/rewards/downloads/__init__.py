"""Links by which members download what they redeemed."""
