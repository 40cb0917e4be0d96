"""Normal forms of e-mail addresses and device tags. They serve abuse checks alone and are never shown. Pure."""

import hashlib
import unicodedata
from typing import Final

_DOTLESS: Final = frozenset({"gmail.com", "googlemail.com"})


def email_key(email: str) -> str:
    """One text for all spellings that reach one mailbox: case, compatibility forms, +tags, and Gmail's dots.

    Idempotent. A local part that is nothing but a tag or dots stays as it is.
    """
    local, _, domain = _folded(email).rpartition("@")
    domain = domain.rstrip(".")
    local = local.partition("+")[0] or local
    if domain in _DOTLESS:
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"


def device_digest(tag: str) -> bytes:
    """SHA-256 of a device's opaque tag: equal tags are found, the tag itself is not kept."""
    return hashlib.sha256(b"mereau device v1\n" + tag.encode()).digest()


def _folded(text: str) -> str:
    """Without case, spaces and compatibility forms; folding one can bring another forth, so until nothing changes."""
    while True:
        folded = "".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
        if folded == text:
            return folded
        text = folded
