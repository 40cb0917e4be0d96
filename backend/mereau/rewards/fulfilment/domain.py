"""How a delivery goes its way, and what holds it up. Pure."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mereau.core.errors import FieldError, InvalidInputError

FILE_BYTES_MAX: Final = 1024 * 1024
BATCH_MAX: Final = 500
PERSONAL_DAYS: Final = 90
"""So long after its end a delivery keeps the address, the marking and the files."""

Step = Literal["prepared", "shipped", "delivered", "returned"]
MediaType = Literal["application/pdf", "image/png", "image/jpeg"]

OPEN: Final = frozenset({"ordered", "prepared"})
"""Nothing has left the workshop: a delivery may still be cancelled."""
OUT: Final = frozenset({"shipped", "delivered"})
"""It is on its way to its member, or there."""
ENDED: Final = frozenset({"delivered", "returned", "cancelled"})
_FROM: Final[Mapping[Step, frozenset[str]]] = {
    "prepared": frozenset({"ordered"}),
    "shipped": frozenset({"prepared"}),
    "delivered": frozenset({"shipped"}),
    "returned": OUT,
}
_WAY: Final = ("ordered", "prepared", "shipped", "delivered", "returned")
_MAGIC: Final[Mapping[MediaType, bytes]] = {
    "application/pdf": b"%PDF-",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a parcel goes, as it was given with the order."""

    name: str
    line_1: str
    postal_code: str
    city: str
    country: str
    line_2: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class FileDraft:
    """A logo or a proof."""

    media_type: MediaType
    content: bytes


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """A reward to be delivered: one SKU for each of its slots, and what is to stand on it."""

    reward_id: str
    skus: tuple[str, ...]
    address: Address
    external_id: str | None = None
    marking_text: str | None = None
    logo: FileDraft | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides whether a delivery may take its next step."""

    state: str
    is_cleared: bool
    proof: str


def may_pass(proof: str) -> bool:
    """Whether nothing needs a proof, or it is approved."""
    return proof in {"none", "approved"}


def has_taken(state: str, step: Step) -> bool:
    """Whether a delivery stands where the step leads, or further on its way."""
    return state in _WAY and _WAY.index(state) >= _WAY.index(step)


def hindrance(standing: Standing, step: Step) -> tuple[str, str] | None:
    """(code, text) of what keeps a delivery from a step; None where nothing does."""
    if standing.state not in _FROM[step]:
        return "state", f"It is {standing.state} and cannot become {step}."
    if step in {"prepared", "shipped"} and not standing.is_cleared:
        return "not_cleared", "Its tokens are not burned for good yet."
    if step == "shipped" and not may_pass(standing.proof):
        return "proof_not_approved", "Its proof is not approved."
    return None


def marking_findings(draft: OrderDraft, allowed: str) -> Iterator[FieldError]:
    """What is wrong with what is to stand on the goods."""
    for field, value in (("text", draft.marking_text), ("logo", draft.logo)):
        if value is not None and allowed != field:
            yield FieldError(f"/personalisation/{field}", "not_offered", "This reward does not take it.")


def decode_file(media_type: MediaType, content_base64: str, pointer: str) -> FileDraft:
    """The file in a body; InvalidInputError where it is no base64, too large, or not what it says it is."""
    try:
        content = base64.b64decode(content_base64, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong_file(pointer, "base64", "Base64 is expected (RFC 4648, section 4).") from None
    if len(content) > FILE_BYTES_MAX:
        raise _wrong_file(pointer, "too_large", f"At most {FILE_BYTES_MAX} bytes.")
    if not content.startswith(_MAGIC[media_type]):
        raise _wrong_file(pointer, "media_type", f"The content is not {media_type}.")
    return FileDraft(media_type, content)


def _wrong_file(pointer: str, code: str, detail: str) -> InvalidInputError:
    return InvalidInputError("The file is not taken.", errors=[FieldError(pointer, code, detail)])


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery that takes a step, and who carries it."""

    delivery_id: str
    carrier: str | None = None
    tracking_number: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """Deliveries that take one step together: those named, or all of a pick list. See `service.take_step`."""

    step: Step
    parcels: Sequence[Parcel] = ()
    pick_list_id: str | None = None
    restock: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """Pieces of one variant in a delivery."""

    line_number: int
    variant_id: str
    goods_id: str
    goods_external_id: str
    name_fr: str
    name_en: str
    sku: str
    size: str | None
    colour: str | None
    pieces: int
