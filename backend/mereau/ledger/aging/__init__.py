"""Time changes tokens: pending ones become active, old ones expire."""
