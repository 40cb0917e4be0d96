"""Says in time which tokens will expire."""
