"""What a rule names, looked up."""
