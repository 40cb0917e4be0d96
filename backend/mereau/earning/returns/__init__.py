"""Recording what comes back."""
