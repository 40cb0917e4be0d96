"""People who credit and debit by hand, with small limits, in a ledger's world."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import pytest

from factories.ledger import LedgerWorld
from mereau.auth.domain import Principal, Role, Scope
from mereau.core.db import transaction
from mereau.core.errors import MereauError
from mereau.ledger.adjustments import service
from mereau.ledger.adjustments.models import Adjustment
from mereau.ledger.adjustments.service import AdjustmentDraft
from mereau.programs.settings import service as settings
from mereau.programs.settings.service import AdjustmentLimits, SettingsChange

LIMITS = AdjustmentLimits(staff_day_tokens=100, member_day_tokens=60, approval_above_tokens=50, request_days=7)


@dataclass
class Counter:
    """Where tokens are moved by hand: `lou` and `sam` work for the first partner, `ops` and `ada` are operators."""

    world: LedgerWorld

    def who(self, name: str, partner: int = 0) -> Principal:
        role = {"ops": Role.OPERATOR, "ada": Role.OPERATOR, "shop": Role.PARTNER}.get(name, Role.STAFF)
        is_inside = role == Role.OPERATOR
        return Principal(
            key_id=f"key_{name}",
            role=role,
            scopes=frozenset(Scope),
            partner_id=None if is_inside else self.world.partners[partner].id,
            staff_id=f"stf_{name}" if role == Role.STAFF else None,
        )

    def draft(self, tokens: int, member: int = 0, partner: int = 0, **changes: Any) -> AdjustmentDraft:
        fields: dict[str, Any] = {"direction": "credit", "reason_code": "goodwill", "note": "A long wait."}
        return AdjustmentDraft(
            member_id=self.world.members[member],
            partner_id=self.world.partners[partner].id,
            tokens=tokens,
            **fields | changes,
        )

    async def adjust(
        self, tokens: int, by: str = "lou", member: int = 0, partner: int = 0, **changes: Any
    ) -> Adjustment:
        async with transaction(self.world.engine) as session:
            caller = self.who(by, partner)
            return await service.adjust(session, self.draft(tokens, member, partner, **changes), caller, self.world.now)

    async def take(self, tokens: int, by: str = "lou", **changes: Any) -> Adjustment:
        return await self.adjust(tokens, by, direction="debit", reason_code="correction", **changes)

    async def approve(self, request: Adjustment, by: str = "sam", partner: int = 0) -> Adjustment:
        async with transaction(self.world.engine) as session:
            return await service.approve(session, request.id, self.who(by, partner), self.world.now, note="Seen.")

    async def reject(self, request: Adjustment, by: str = "sam", partner: int = 0) -> Adjustment:
        async with transaction(self.world.engine) as session:
            return await service.reject(session, request.id, self.who(by, partner), self.world.now, note="Too much.")

    async def limits(self, **changes: Any) -> None:
        async with transaction(self.world.engine) as session:
            wanted = SettingsChange(adjustments=LIMITS.model_copy(update=changes))
            await settings.change(session, wanted, None, self.world.now, actor="key_ops")

    async def entries(self, adjustment: Adjustment) -> list[tuple[str, int, str]]:
        """What it did to the statement: (kind, tokens, reason)."""
        rows = await self.world.rows(
            "select kind, tokens, reason_code from entries where source_id = :id order by seq", id=adjustment.id
        )
        return [(row.kind, row.tokens, row.reason_code) for row in rows]

    async def counted(self) -> dict[str, int]:
        """Whose tokens of today count, and how many."""
        rows = await self.world.rows("select subject_id, sum(tokens) as tokens from adjustment_counters group by 1")
        return {row.subject_id: int(row.tokens) for row in rows}

    async def acts(self) -> list[tuple[str, str]]:
        """The journal of adjustments: (actor, action)."""
        rows = await self.world.rows(
            "select actor, action from journal_entries where action like 'adjust%' order by id"
        )
        return [(row.actor, row.action) for row in rows]


async def refused(work: Awaitable[object]) -> str:
    """The code of the refusal that this must meet."""
    with pytest.raises(MereauError) as refusal:
        await work
    return refusal.value.code
