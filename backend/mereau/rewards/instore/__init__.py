"""Redeeming at the till, by staff, with a code that the member shows."""
