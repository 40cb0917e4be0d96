"""The loyalty programme of this installation and its settings."""
