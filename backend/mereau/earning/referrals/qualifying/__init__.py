"""What purchases and returns of friends make of referrals."""
