"""Pools of codes and claims on the wire."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mereau.core.schemas import ExternalId, Instant, Label, ObjectId, Request, Resource
from mereau.earning.codes.domain import UPLOADED_CHARS_MAX, PoolDraft
from mereau.earning.codes.models import CodePool
from mereau.earning.codes.service import Claimed
from mereau.earning.schemas import MemberRef
from mereau.members.profile.schemas import Attributes

CODES_MAX: Final = 10_000
USES_MAX: Final = 1_000_000
_TYPED_MAX: Final = 100


class CodePoolCreate(Request):
    """Codes of one campaign."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"external_id": "spring-flyer", "campaign": "flyer", "uses_per_code": 1}}
    )

    external_id: ExternalId
    campaign: ExternalId | None = Field(default=None, description="The rule that the codes call; else all of codes.")
    object_reference: Label | None = Field(default=None, description="What the codes are printed on.")
    partner_id: ObjectId | None = Field(default=None, description="Who pays; else the rule's issuer.")
    attributes: Attributes = Field(default_factory=dict, description="What rules may match.")
    uses_per_code: int = Field(default=1, ge=1, le=USES_MAX, description="Each member uses a code once at most.")
    valid_from: Instant | None = None
    valid_until: Instant | None = None

    def draft(self) -> PoolDraft:
        return PoolDraft(**{name: getattr(self, name) for name in type(self).model_fields})


class CodesCreate(Request):
    """Codes to draw, or codes that are printed already."""

    model_config = ConfigDict(json_schema_extra={"example": {"generate": 100}})

    generate: int | None = Field(default=None, ge=1, le=CODES_MAX)
    codes: list[Annotated[str, Field(min_length=1, max_length=2 * UPLOADED_CHARS_MAX)]] | None = Field(
        default=None, min_length=1, max_length=CODES_MAX, description="12 to 64 letters and digits each."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.generate is None) == (self.codes is None):
            raise PydanticCustomError("one_of", "Either generate or codes is expected")
        return self


class CodesOut(Resource):
    """How many codes are new. `codes` are told once, and only where they were drawn here."""

    pool_id: str
    added: int
    codes: list[str]


class CodePoolOut(Resource):
    """A pool of codes."""

    id: str
    external_id: str
    partner_id: str | None
    campaign: str | None
    object_reference: str | None
    attributes: dict[str, object]
    uses_per_code: int
    valid_from: datetime | None
    valid_until: datetime | None
    status: str
    created_at: datetime


class CodePoolFigures(CodePoolOut):
    """A pool with what became of its codes."""

    codes: int
    uses_left: int
    tokens: int = Field(description="What its codes have earned.")


class CodeClaimCreate(Request):
    """A code as it was typed or scanned. Members claim for themselves, staff for the member that they name."""

    model_config = ConfigDict(json_schema_extra={"example": {"code": "7K3M-Q0ZX-4T9V-B2CD"}})

    code: str = Field(min_length=1, max_length=_TYPED_MAX)
    member: MemberRef | None = None


class CodeClaimOut(Resource):
    """What a code gave."""

    id: str
    member_id: str
    pool: str = Field(description="The pool's external id.")
    object_reference: str | None
    tokens: int
    entry_ids: list[str]


def show_pool(pool: CodePool) -> CodePoolOut:
    return CodePoolOut.model_validate(pool)


def show_figures(pool: CodePool, codes: int, uses_left: int, tokens: int) -> CodePoolFigures:
    return CodePoolFigures(**show_pool(pool).model_dump(), codes=codes, uses_left=uses_left, tokens=tokens)


def show_claim(claimed: Claimed) -> CodeClaimOut:
    return CodeClaimOut(
        id=claimed.id,
        member_id=claimed.member_id,
        pool=claimed.pool.external_id,
        object_reference=claimed.pool.object_reference,
        tokens=claimed.tokens,
        entry_ids=list(claimed.entry_ids),
    )
