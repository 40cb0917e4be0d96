"""Offering rewards, changing them, and finding them."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, Final

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.partners import service as partners
from mereau.rewards.catalogue import domain, repository
from mereau.rewards.catalogue.domain import Audience, Photo, RewardDraft, Status
from mereau.rewards.files import service as files
from mereau.rewards.kinds.domain import read_terms
from mereau.rewards.limits.domain import Limit
from mereau.rewards.models import Reward, RewardVersion

_FIELDS: Final = tuple(field.name for field in fields(RewardDraft))
_UNVERSIONED: Final = frozenset({"stock"})
"""What moves by itself: it is journalled when somebody sets it, and no reason for a new version."""


def _values(draft: RewardDraft) -> dict[str, Any]:
    """The columns of a draft."""
    plain = {name: getattr(draft, name) for name in _FIELDS}
    return plain | {
        "terms": draft.terms.model_dump(mode="json"),
        "labels": list(draft.labels),
        "photos": [asdict(photo) for photo in draft.photos],
        "audience": {name: list(named) for name, named in asdict(draft.audience).items() if named},
        "tier_prices": dict(draft.tier_prices),
        "limits": [asdict(limit) for limit in draft.limits],
    }


def _content(values: Mapping[str, Any]) -> dict[str, object]:
    """The columns as JSON, for versions and the journal."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def draft_of(reward: Reward) -> RewardDraft:
    """What a reward says at present."""
    plain = {name: getattr(reward, name) for name in _FIELDS}
    return RewardDraft(
        **plain
        | {
            "terms": read_terms(reward.terms),
            "photos": [Photo(**photo) for photo in reward.photos],
            "audience": Audience(**reward.audience),
            "limits": limits_of(reward),
        }
    )


def limits_of(reward: Reward) -> list[Limit]:
    return [Limit(**limit) for limit in reward.limits]


async def _findings(session: WriteSession, draft: RewardDraft) -> list[FieldError]:
    missing = await files.missing(session, draft.terms.file_digest, [photo.url for photo in draft.photos])
    return [*domain.findings(draft), *missing]


async def create_reward(session: WriteSession, draft: RewardDraft, now: datetime, *, actor: str) -> Reward:
    """Offer a reward. InvalidInputError names the wrong fields; ConflictError for a taken external id."""
    if errors := await _findings(session, draft):
        raise InvalidInputError("The reward is not valid.", errors=errors)
    await partners.get(session, draft.partner_id)
    reward_id, values = new_id("rwd", now), _values(draft)
    if not await repository.add(session, reward_id, values, now):
        raise ConflictError(f"There is already a reward {draft.external_id}.")
    await repository.add_version(session, reward_id, 1, _content(values), now)
    detail = {"external_id": draft.external_id, "price_tokens": draft.price_tokens, "stock": draft.stock}
    await journal.record(session, at=now, actor=actor, action="reward.created", subject_id=reward_id, detail=detail)
    return await get_reward(session, reward_id)


async def change_reward(
    session: WriteSession,
    reward_id: str,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    actor: str,
    action: str = "reward.changed",
) -> Reward:
    """Change fields of a reward; redemptions keep the version that they were made under. Locks the reward.

    What is as it was is no change: nothing is written then. The journal says what it was before.
    NotFoundError, or InvalidInputError naming the wrong fields: a reward keeps its kind, partner and external id.
    """
    reward = await repository.find(session, reward_id, lock=True)
    if reward is None:
        raise NotFoundError("There is no such reward.")
    before = draft_of(reward)
    after = replace(before, **changes)
    errors = await _findings(session, after)
    if after.terms.kind != before.terms.kind:
        errors.append(FieldError("/terms/kind", "fixed", "A reward keeps its kind; offer another one."))
    if errors:
        raise InvalidInputError("The reward is not valid.", errors=errors)
    old, new = _values(before), _values(after)
    changed = {name: value for name, value in new.items() if value != old[name]}
    if not changed:
        return reward
    is_new_version = bool(changed.keys() - _UNVERSIONED)
    version = reward.version + is_new_version
    await repository.change(session, reward_id, version, changed)
    if is_new_version:
        await repository.add_version(session, reward_id, version, _content(new), now)
    was, became = _content(old), _content(new)
    detail = {name: {"from": was[name], "to": became[name]} for name in changed}
    await journal.record(session, at=now, actor=actor, action=action, subject_id=reward_id, detail=detail)
    return await get_reward(session, reward_id)


async def set_status(session: WriteSession, reward_id: str, status: Status, now: datetime, *, actor: str) -> Reward:
    """Offer a reward or take it from the catalogue; redemptions that run are not touched."""
    return await change_reward(session, reward_id, {"status": status}, now, actor=actor, action=f"reward.{status}")


async def get_reward(session: ReadSession | WriteSession, reward_id: str) -> Reward:
    """The reward; NotFoundError where there is none."""
    reward = await repository.find(session, reward_id)
    if reward is None:
        raise NotFoundError("There is no such reward.")
    return reward


async def visible_reward(session: ReadSession | WriteSession, reward_id: str, now: datetime) -> Reward:
    """The reward as members and partners see it; NotFoundError where it is not shown to them now."""
    reward = await get_reward(session, reward_id)
    begun = reward.visible_from is None or reward.visible_from <= now
    over = reward.visible_until is not None and reward.visible_until <= now
    if reward.status != "active" or not begun or over:
        raise NotFoundError("There is no such reward.")
    return reward


async def list_rewards(
    session: ReadSession | WriteSession,
    *,
    after: str = "",
    limit: int = 20,
    visible_at: datetime | None = None,
    status: str | None = None,
    partner_id: str | None = None,
    category: str | None = None,
    label: str | None = None,
    automatic: bool = False,
) -> list[Reward]:
    """Rewards from behind the place `after`: the featured ones in their order, then the others by age."""
    return await repository.page(
        session,
        after,
        limit,
        visible_at=visible_at,
        status=status,
        partner_id=partner_id,
        category=category,
        label=label,
        automatic=automatic,
    )


async def versions_of(
    session: ReadSession | WriteSession, reward_id: str, *, after: int = 0, limit: int = 20
) -> list[RewardVersion]:
    """What a reward said, the oldest version first; NotFoundError where there is no such reward."""
    await get_reward(session, reward_id)
    return await repository.versions(session, reward_id, after, limit)
