"""Surveys on the wire."""

from datetime import datetime

from pydantic import ConfigDict, Field

from mereau.core.schemas import Remark, Request, Resource
from mereau.rewards.surveys.domain import Results
from mereau.rewards.surveys.models import Survey


class SurveyAnswer(Request):
    """From 0, not at all, to 10, certainly."""

    model_config = ConfigDict(json_schema_extra={"example": {"score": 9, "comment": "Vite arrivé, bien emballé."}})

    score: int = Field(ge=0, le=10)
    comment: Remark | None = None


class AnsweredOut(Resource):
    """The answer is taken."""

    id: str
    delivery_id: str
    score: int
    answered_at: datetime


class SurveyOut(Resource):
    """A survey; its code is for its member, while it may be answered."""

    id: str
    delivery_id: str
    asked_at: datetime
    expires_at: datetime
    score: int | None
    comment: str | None
    answered_at: datetime | None
    code: str | None = Field(description="Answers at /surveys/{code}/answers, once.")


class ResultsOut(Resource):
    """Answers of those asked in a period. Rates are in thousandths; the score runs from -1000 to 1000."""

    asked: int
    answered: int
    response_rate_permille: int | None
    promoters: int = Field(description="9 and 10.")
    passives: int = Field(description="7 and 8.")
    detractors: int = Field(description="0 to 6.")
    nps_permille: int | None = Field(description="Promoters less detractors among 1,000 answers.")


def show_answered(survey: Survey) -> AnsweredOut:
    return AnsweredOut.model_validate(survey)


def show_survey(survey: Survey, code: str | None) -> SurveyOut:
    own = (name for name in SurveyOut.model_fields if name != "code")
    return SurveyOut(**{name: getattr(survey, name) for name in own}, code=code)


def show_results(results: Results) -> ResultsOut:
    return ResultsOut.model_validate(results)
