"""What a programme may say. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from zoneinfo import ZoneInfo

from mereau.core.errors import FieldError

ReturnPolicy = Literal["clamp", "debt"]

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_SYMBOL: Final = re.compile(r"[A-Za-z0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class ProgramDraft:
    """A programme to be created.

    `activation_delay_s` is the return window of a credit; `token_life_days` counts from activation, None for
    tokens that never expire; `return_policy` says what a return does where the tokens are already spent:
    forgive the rest (`clamp`) or note it as a debt (`debt`).
    """

    external_id: str
    name_fr: str
    name_en: str
    token_name: str
    token_symbol: str
    currency: str = "EUR"
    time_zone: str = "Europe/Paris"
    activation_delay_s: int = 0
    token_life_days: int | None = None
    return_policy: ReturnPolicy = "clamp"


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def findings(draft: ProgramDraft) -> Iterator[FieldError]:
    """What is wrong with a draft, field by field."""
    for field in ("external_id", "name_fr", "name_en", "token_name"):
        if not str(getattr(draft, field)).strip():
            yield FieldError(f"/{field}", "empty", "Must not be empty.")
    if not _SYMBOL.fullmatch(draft.token_symbol):
        yield FieldError("/token_symbol", "symbol", "Must be 1 to 11 ASCII letters or digits.")
    if not _CURRENCY.fullmatch(draft.currency):
        yield FieldError("/currency", "currency", "Must be an ISO 4217 code such as EUR.")
    if not _is_time_zone(draft.time_zone):
        yield FieldError("/time_zone", "time_zone", "Must be an IANA time zone such as Europe/Paris.")
    if draft.activation_delay_s < 0:
        yield FieldError("/activation_delay_s", "negative", "Must be 0 or more seconds.")
    if draft.token_life_days is not None and draft.token_life_days < 1:
        yield FieldError("/token_life_days", "too_short", "Must be 1 day or more, or absent.")
