"""Rules that turn sales into tokens; sales and returns."""
