"""Pools of codes on the wire."""

from typing import Annotated

from pydantic import ConfigDict, Field

from mereau.core.schemas import Request, Resource
from mereau.rewards.pools.service import CODES_MAX

Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")]


class CodesUpload(Request):
    """Codes of another shop's till, each good for one piece."""

    model_config = ConfigDict(json_schema_extra={"example": {"codes": ["WINTER-7Q2M", "WINTER-9XKT"]}})

    codes: list[Code] = Field(min_length=1, max_length=CODES_MAX)


class PoolOut(Resource):
    """A pool after an upload."""

    added: int
    free: int
