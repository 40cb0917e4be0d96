"""What the page behind an object's code says. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

Language = Literal["fr", "en"]
Outcome = Literal["reused", "recycled", "upcycled", "discarded"]


@dataclass(frozen=True, slots=True)
class Story:
    """What everybody may read of an object: what it is, never whose it is."""

    name_fr: str
    name_en: str
    text_fr: str | None
    text_en: str | None


@dataclass(frozen=True, slots=True)
class GoodsFigures:
    """What became of one kind of goods in a period. Objects are pieces with a code."""

    goods_id: str
    external_id: str
    pieces_shipped: int
    pieces_returned: int
    objects_activated: int
    reused: int
    recycled: int
    upcycled: int
    discarded: int


_ACTIVATE: Final[Mapping[Language, str]] = {
    "fr": "Pour activer ce que promet cet objet, saisissez ce code dans votre espace membre :",
    "en": "To activate what this object promises, enter this code in your member space:",
}
_END: Final[Mapping[Language, str]] = {
    "fr": "Rapportez-le quand il ne sert plus, en boutique : il sera réemployé ou recyclé.",
    "en": "When you no longer want it, bring it back to the shop: it will be reused or recycled.",
}
_UNKNOWN: Final[Mapping[Language, tuple[str, str]]] = {
    "fr": ("Code inconnu", "Aucun objet ne porte ce code."),
    "en": ("Unknown code", "No object carries this code."),
}
_OTHER: Final[Mapping[Language, tuple[Language, str]]] = {"fr": ("en", "English"), "en": ("fr", "Français")}


def landing(story: Story, code: str, language: Language) -> tuple[str, str]:
    """(title, HTML) of the page that an object's code opens; it says nothing of what became of the object."""
    name, text = (story.name_fr, story.text_fr) if language == "fr" else (story.name_en, story.text_en)
    told = "".join(f"<p>{escape(part)}</p>" for part in (text or "").split("\n") if part.strip())
    activate = f"<p>{_ACTIVATE[language]} <strong>{escape(code)}</strong></p>"
    return name, f"{told}{activate}<p>{_END[language]}</p>{_switch(language)}"


def unknown(language: Language) -> tuple[str, str]:
    """(title, HTML) for every code that is no object's."""
    title, text = _UNKNOWN[language]
    return title, f"<p>{text}</p>{_switch(language)}"


def _switch(language: Language) -> str:
    other, name = _OTHER[language]
    return f'<nav><a href="?lang={other}" lang="{other}" hreflang="{other}">{name}</a></nav>'
