"""Changing a running programme."""

from datetime import datetime
from zoneinfo import ZoneInfo

from mereau.core.db import WriteSession
from mereau.core.errors import InvalidInputError
from mereau.journal import service as journal
from mereau.programs import repository
from mereau.programs import service as programs
from mereau.programs.lives.domain import Lives
from mereau.programs.models import Program
from mereau.programs.settings import domain
from mereau.programs.settings.domain import AdjustmentLimits, SettingsChange

__all__ = ["AdjustmentLimits", "SettingsChange", "adjustment_limits_of", "change", "lives_of"]


def lives_of(program: Program) -> Lives:
    """What the programme says of the tokens that it credits from now on."""
    return Lives(
        domain.activation_of(program.activation_delay_s, program.activation_rule),
        domain.expiry_of(program.token_life_days, program.expiry_rule),
        ZoneInfo(program.time_zone),
    )


def adjustment_limits_of(program: Program) -> AdjustmentLimits:
    """What people may credit and debit by hand."""
    return AdjustmentLimits.model_validate(program.adjustment_limits or {})


async def change(
    session: WriteSession, wanted: SettingsChange, guaranteed_life_s: int | None, now: datetime, *, actor: str
) -> Program:
    """Change settings and journal them with what stood before; the programme. Locks it.

    `guaranteed_life_s` is how long the contract may protect a credit: InvalidInputError for an expiry that is
    shorter, None where there is no contract yet. What says nothing new writes nothing.
    """
    await repository.lock(session)
    program = await programs.current(session)
    errors = list(domain.unkept(wanted.expiry, guaranteed_life_s or 0))
    if errors:
        raise InvalidInputError("The contract would not carry out this expiry.", errors=errors)
    said, before = wanted.said(), settings_of(program).said()
    changed = {name: value for name, value in said.items() if before.get(name) != value}
    if not changed:
        return program
    for column, value in _columns(wanted).items():
        setattr(program, column, value)
    await session.flush()
    detail = {"before": {name: before.get(name) for name in changed}, "after": changed}
    await journal.record(session, at=now, actor=actor, action="programme.changed", subject_id=program.id, detail=detail)
    return program


def settings_of(program: Program) -> SettingsChange:
    """All settings as they stand."""
    lives = lives_of(program)
    return SettingsChange(
        name_fr=program.name_fr,
        name_en=program.name_en,
        activation=lives.activation,
        expiry=lives.expiry,
        notice_days=tuple(program.notice_days),
        return_policy="debt" if program.return_policy == "debt" else "clamp",
        adjustments=adjustment_limits_of(program),
    )


def _columns(wanted: SettingsChange) -> dict[str, object]:
    columns: dict[str, object] = {}
    for name in ("name_fr", "name_en", "return_policy"):
        if (value := getattr(wanted, name)) is not None:
            columns[name] = value
    if wanted.notice_days is not None:
        columns["notice_days"] = list(wanted.notice_days)
    if wanted.adjustments is not None:
        columns["adjustment_limits"] = wanted.adjustments.to_dict()
    if wanted.activation is not None:
        columns |= domain.activation_columns(wanted.activation)
    if wanted.expiry is not None:
        columns |= domain.expiry_columns(wanted.expiry)
    return columns
