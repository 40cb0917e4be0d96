"""Cards that members pay with, as opaque tokens of a connector."""
