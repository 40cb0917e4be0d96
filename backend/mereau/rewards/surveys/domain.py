"""What the answers come to. Pure."""

import hmac
from dataclasses import dataclass
from typing import Final

from mereau.core import codes

ANSWER_DAYS: Final = 60
"""So long after it was asked a survey may be answered."""
_PROMOTER_MIN: Final = 9
_DETRACTOR_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Results:
    """Answers of a period. The score is the share of 9 and 10 less that of 0 to 6, over those who answered."""

    asked: int
    promoters: int
    passives: int
    detractors: int

    @property
    def answered(self) -> int:
        return self.promoters + self.passives + self.detractors

    @property
    def response_rate_permille(self) -> int | None:
        """Answers among 1,000 asked, rounded half up; None where nobody was asked."""
        return _permille(self.answered, self.asked)

    @property
    def nps_permille(self) -> int | None:
        """The Net Promoter Score times ten, -1,000 to 1,000, rounded half away from zero; None without answers."""
        return _permille(self.promoters - self.detractors, self.answered)


def _permille(part: int, whole: int) -> int | None:
    if whole == 0:
        return None
    rounded = (2_000 * abs(part) + whole) // (2 * whole)
    return rounded if part >= 0 else -rounded


def tally(scores: dict[int, int], asked: int) -> Results:
    """The results of score -> how many gave it."""
    promoters = sum(count for score, count in scores.items() if score >= _PROMOTER_MIN)
    detractors = sum(count for score, count in scores.items() if score <= _DETRACTOR_MAX)
    return Results(asked, promoters, sum(scores.values()) - promoters - detractors, detractors)


def survey_code(secret: bytes, survey_id: str) -> str:
    """The code of a survey: 80 bits of HMAC-SHA256. Derived, never stored, so it can be sent again."""
    mac = hmac.digest(secret, b"mereau survey v1\n" + survey_id.encode(), "sha256")
    return codes.format_code(mac[: codes.CODE_BYTES])
