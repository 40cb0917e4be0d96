"""Vouchers: granted when the burn is final, used once, or expired."""
