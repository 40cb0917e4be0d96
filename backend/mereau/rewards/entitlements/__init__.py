"""What members may claim elsewhere: flags of their tier, and what they redeemed."""
