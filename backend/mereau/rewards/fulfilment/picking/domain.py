"""What a pick list looks like, on a screen, on paper and in a spreadsheet. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mereau.rewards.fulfilment.domain import Address, Piece
from mereau.rewards.goods.domain import SizeKey, size_key

Language = Literal["fr", "en"]


@dataclass(frozen=True, slots=True)
class Pick:
    """One line of one parcel, and where the parcel goes while that is kept."""

    delivery_id: str
    state: str
    piece: Piece
    address: Address | None
    marking_text: str | None
    has_logo: bool


_HEADERS: Final[Mapping[Language, Sequence[str]]] = {
    "fr": (
        "Article", "Désignation", "SKU", "Taille", "Couleur", "Pièces", "Marquage", "Logo", "Colis", "État",
        "Nom", "Adresse", "Complément", "Code postal", "Ville", "Pays", "Téléphone",
    ),
    "en": (
        "Item", "Description", "SKU", "Size", "Colour", "Pieces", "Marking", "Logo", "Parcel", "State",
        "Name", "Address", "Address 2", "Postal code", "City", "Country", "Phone",
    ),
}  # fmt: skip
_YES: Final[Mapping[Language, str]] = {"fr": "oui", "en": "yes"}
_TITLES: Final[Mapping[Language, str]] = {"fr": "Liste de préparation", "en": "Pick list"}
_SHELF: Final[Mapping[Language, str]] = {"fr": "À prendre en rayon", "en": "To take from the shelves"}
_PARCELS: Final[Mapping[Language, str]] = {"fr": "Colis", "en": "Parcels"}
_SHELF_COLUMNS: Final = 6
_PARCEL_COLUMN: Final = 8


def pick_key(pick: Pick) -> tuple[str, SizeKey, str, str, str]:
    """Shelf by shelf: goods, then size in its natural order, then colour; parcels in the order of their age."""
    piece = pick.piece
    return piece.goods_external_id, size_key(piece.size), piece.colour or "", piece.sku, pick.delivery_id


def header(language: Language) -> Sequence[str]:
    """The columns of a spreadsheet."""
    return _HEADERS[language]


def cells(pick: Pick, language: Language) -> tuple[str | int | None, ...]:
    """A line of a spreadsheet."""
    piece, address = pick.piece, pick.address
    where = (
        (None,) * 7
        if address is None
        else (
            address.name, address.line_1, address.line_2, address.postal_code, address.city, address.country,
            address.phone,
        )
    )  # fmt: skip
    return (
        piece.goods_external_id,
        piece.name_fr if language == "fr" else piece.name_en,
        piece.sku,
        piece.size,
        piece.colour,
        piece.pieces,
        pick.marking_text,
        _YES[language] if pick.has_logo else None,
        pick.delivery_id,
        pick.state,
        *where,
    )


def shelf_totals(picks: Sequence[Pick], language: Language) -> Iterator[tuple[str | int | None, ...]]:
    """What to take from the shelves, a line for each SKU, for picks in their order."""
    totals: dict[str, int] = {}
    for pick in picks:
        totals[pick.piece.sku] = totals.get(pick.piece.sku, 0) + pick.piece.pieces
    first = {pick.piece.sku: pick for pick in reversed(picks)}
    for sku, total in totals.items():
        yield *cells(first[sku], language)[:5], total


def title(pick_list_id: str, language: Language) -> str:
    return f"{_TITLES[language]} {pick_list_id}"


def sections(
    picks: Sequence[Pick], language: Language
) -> Iterator[tuple[str, Sequence[str], list[tuple[str | int | None, ...]]]]:
    """(caption, columns, lines) of the page: the shelves first, then parcel by parcel, without addresses."""
    columns = _HEADERS[language]
    yield _SHELF[language], columns[:_SHELF_COLUMNS], list(shelf_totals(picks, language))
    by_parcel = sorted(picks, key=lambda pick: (pick.delivery_id, pick_key(pick)))
    lines = [(pick.delivery_id, *cells(pick, language)[:_PARCEL_COLUMN]) for pick in by_parcel]
    yield _PARCELS[language], (columns[_PARCEL_COLUMN], *columns[:_PARCEL_COLUMN]), lines
