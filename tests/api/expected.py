"""What a row of the matrix says: a request that is right in itself, and the status for each identity."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from api.world import ApiWorld

IDENTITIES = (
    None, "revoked", "member_a", "member_b", "partner_a", "partner_b", "staff", "operator", "auditor",
)  # fmt: skip

Request = tuple[str, Any]
Build = Callable[[ApiWorld], Awaitable[Request]]


@dataclass(frozen=True)
class Expected:
    """A request that is right in itself, and the status for each identity that has a valid key."""

    build: Build
    member_a: int
    member_b: int
    partner_a: int
    partner_b: int
    staff: int
    operator: int
    auditor: int
    stranger: int = 401

    def status_for(self, identity: str | None) -> int:
        if identity in {None, "revoked"}:
            return self.stranger
        status: int = getattr(self, str(identity))
        return status


def at(path: str, body: Any = None) -> Build:
    """A request to a path whose braces name ids of the world."""

    async def build(world: ApiWorld) -> Request:
        return path.format(**world.ids), body

    return build


EVERYBODY = {str(name): 200 for name in IDENTITIES if name not in {None, "revoked"}}
ONLY_OPERATOR = {"member_a": 403, "member_b": 403, "partner_a": 403, "partner_b": 403, "staff": 403, "auditor": 403}
NO_MEMBER = {"member_a": 403, "member_b": 403}
ONLY_INSIDE = ONLY_OPERATOR | {"operator": 200, "auditor": 200}
