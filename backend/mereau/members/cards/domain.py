"""What is kept of a card. Pure."""

import hashlib


def card_digest(token: str) -> bytes:
    """SHA-256 of a connector's opaque token: a sale that bears it is found, the token itself is not kept."""
    return hashlib.sha256(b"mereau card v1\n" + token.encode()).digest()
