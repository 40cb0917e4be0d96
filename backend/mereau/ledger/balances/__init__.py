"""A member's balance in one statement: the read that pages and tills repeat most."""
