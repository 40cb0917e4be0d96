"""One question after each delivery: would you recommend us, from 0 to 10? By a link that answers once."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from mereau.auth.domain import Reach
from mereau.core import codes
from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import NotFoundError
from mereau.core.ids import new_id
from mereau.outbox import service as outbox
from mereau.outbox.models import OutboxEvent
from mereau.outbox.service import Event
from mereau.rewards.surveys import domain, repository
from mereau.rewards.surveys.domain import ANSWER_DAYS, Results
from mereau.rewards.surveys.models import Survey

Session = ReadSession | WriteSession


async def on_events(session: WriteSession, events: Sequence[OutboxEvent], secret: bytes, now: datetime) -> None:
    """Ask after each delivery, once: `survey.asked` is published. Safe to repeat; a constant number of statements."""
    asked = []
    for event in events:
        if event.type != "delivery.delivered":
            continue
        survey_id = new_id("svy", now)
        digest = codes.digest_of(domain.survey_code(secret, survey_id))
        if digest is None:
            raise ValueError("a derived code is always a code")
        payload = event.payload
        asked.append((survey_id, event.subject_id, str(payload["member_id"]), str(payload["partner_id"]), digest))
    if not asked:
        return
    new = await repository.ask(session, asked, now, now + timedelta(days=ANSWER_DAYS))
    said = [
        Event("survey.asked", survey_id, {"member_id": member_id, "delivery_id": delivery_id})
        for survey_id, delivery_id, member_id in new
    ]
    await outbox.publish(session, said, now)


async def answer(session: WriteSession, code: str, score: int, comment: str | None, now: datetime) -> Survey:
    """Take the one answer of a survey, and publish `survey.answered`.

    NotFoundError for a code that is unknown, used or too old: the three are one answer. Of two answers at a
    time, one counts.
    """
    digest = codes.digest_of(code)
    survey = None if digest is None else await repository.answer(session, digest, score, comment, now)
    if survey is None:
        raise NotFoundError("There is no such survey.")
    payload = {"member_id": survey.member_id, "delivery_id": survey.delivery_id, "score": score}
    await outbox.publish(session, [Event("survey.answered", survey.id, payload)], now)
    return survey


async def list_surveys(session: Session, reach: Reach, *, before_id: str | None, limit: int) -> list[Survey]:
    """Surveys that the caller may see, the newest first."""
    return await repository.surveys_before(session, before_id, limit, reach)


async def results(
    session: Session, *, since: datetime | None, until: datetime | None, partner_id: str | None = None
) -> Results:
    """What those answered who were asked from `since` until before `until`, both optional."""
    scores = await repository.scores(session, since, until, partner_id)
    given = {score: count for score, count in scores.items() if score is not None}
    return domain.tally(given, sum(scores.values()))


def code_of(survey: Survey, secret: bytes, now: datetime) -> str | None:
    """The code for its member's eyes; None once it is answered or too old."""
    is_open = survey.answered_at is None and survey.expires_at > now
    return domain.survey_code(secret, survey.id) if is_open else None
