"""Whether a member can have a reward, and what is missing where they cannot."""
