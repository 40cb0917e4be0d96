"""Single objects: what their codes open, activate and bring back."""
