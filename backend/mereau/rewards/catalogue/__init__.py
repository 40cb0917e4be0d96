"""The catalogue: offering, changing and showing rewards."""
