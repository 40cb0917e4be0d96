"""Who may download what, and what a link says that leads nowhere. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

TOKEN_BYTES: Final = 24
_TITLES: Final = {"fr": "Ce lien ne sert plus", "en": "This link works no longer"}
_TEXTS: Final = {
    "fr": "Un lien sert une fois, et pas longtemps. Demandez-en un nouveau là où vous avez échangé vos jetons.",
    "en": "A link works once, and not for long. Ask for a new one where you redeemed your tokens.",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a redemption promised: which file, how long a link lives, how many may be followed."""

    content: str
    link_life_s: int
    downloads_max: int


def terms_of(promise: Mapping[str, object]) -> Terms:
    """The terms in a digital reward's promise."""
    return Terms(str(promise["content"]), int(str(promise["link_life_s"])), int(str(promise["downloads_max"])))


def refusal(state: str, expires_at: datetime | None, now: datetime) -> str | None:
    """Why a redemption gives no link now; None where it does. The first download makes it `used`, and hinders none."""
    if state not in {"granted", "used"}:
        return f"The redemption is {state}."
    if expires_at is not None and expires_at <= now:
        return "The time for downloads is over."
    return None


def dead_end(language: str) -> tuple[str, str]:
    """Title and HTML of the one page for links that are unknown, used or too old."""
    return _TITLES[language], f"<p>{escape(_TEXTS[language])}</p>"
