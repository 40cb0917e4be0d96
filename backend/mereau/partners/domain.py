"""What it takes to take a partner in. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mereau.auth.domain import Principal
from mereau.core.errors import FieldError, InvalidInputError

LIMIT_TOKENS_MAX: Final = 2**53 - 1
"""The largest limit that may be asked for; beyond it, ask for none."""


@dataclass(frozen=True, slots=True)
class PartnerDraft:
    """A partner to be created; limits in tokens, None for none (see `Partner`)."""

    external_id: str
    name: str
    allowance_tokens: int | None = None
    period_cap_tokens: int | None = None


def acting_partner(caller: Principal, named_id: str | None) -> str:
    """Whom a request is for: a partner's key acts for its own (S3), an operator's for the partner that it names.

    InvalidInputError at /partner_id where that is another one, or none.
    """
    if caller.partner_id is not None and named_id not in {None, caller.partner_id}:
        found = FieldError("/partner_id", "not_yours", "Must be absent, or the key's own partner.")
    elif partner_id := caller.partner_id or named_id:
        return partner_id
    else:
        found = FieldError("/partner_id", "missing", "Name the partner that it is about.")
    raise InvalidInputError("The request names a partner that does not fit; see errors.", errors=[found])


def limit_findings(allowance_tokens: int | None, period_cap_tokens: int | None) -> Iterator[FieldError]:
    """What is wrong with a partner's limits, field by field."""
    for field, tokens in (("allowance_tokens", allowance_tokens), ("period_cap_tokens", period_cap_tokens)):
        if tokens is not None and not 0 <= tokens <= LIMIT_TOKENS_MAX:
            yield FieldError(f"/{field}", "out_of_range", "Must be between 0 and 2^53 - 1, or absent.")


def findings(draft: PartnerDraft) -> Iterator[FieldError]:
    """What is wrong with a draft, field by field."""
    for field in ("external_id", "name"):
        if not str(getattr(draft, field)).strip():
            yield FieldError(f"/{field}", "empty", "Must not be empty.")
    yield from limit_findings(draft.allowance_tokens, draft.period_cap_tokens)
