"""The score is what its formula says, rounded once."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.codes import digest_of
from mereau.rewards.surveys.domain import Results, survey_code, tally


def test_nine_and_ten_promote_and_six_detracts() -> None:
    results = tally(dict.fromkeys(range(11), 1), asked=22)
    assert (results.promoters, results.passives, results.detractors) == (2, 2, 7)
    assert (results.answered, results.response_rate_permille) == (11, 500)
    assert results.nps_permille == -455


@pytest.mark.parametrize(
    ("scores", "asked", "nps", "rate"),
    [
        ({}, 0, None, None),
        ({}, 5, None, 0),
        ({10: 3}, 3, 1_000, 1_000),
        ({0: 1}, 3, -1_000, 333),
        ({9: 1, 3: 1}, 2, 0, 1_000),
    ],
)
def test_figures_at_the_edges(scores: dict[int, int], asked: int, nps: int | None, rate: int | None) -> None:
    results = tally(scores, asked)
    assert (results.nps_permille, results.response_rate_permille) == (nps, rate)


@given(st.dictionaries(st.integers(0, 10), st.integers(0, 10_000)), st.integers(0, 10_000))
def test_the_score_is_its_formula(scores: dict[int, int], silent: int) -> None:
    """Percent of 9 and 10 less percent of 0 to 6, over those who answered."""
    answered = sum(scores.values())
    results = tally(scores, answered + silent)
    assert results.answered == answered
    if not answered:
        assert results.nps_permille is None
        return
    good = sum(count for score, count in scores.items() if score in {9, 10})
    bad = sum(count for score, count in scores.items() if score in set(range(7)))
    exact = 1_000 * (Fraction(good, answered) - Fraction(bad, answered))
    assert results.nps_permille is not None
    assert abs(results.nps_permille - exact) <= Fraction(1, 2)


def test_opposite_answers_give_opposite_scores() -> None:
    assert Results(7, 2, 1, 1).nps_permille == -(Results(7, 1, 1, 2).nps_permille or 0)


def test_a_code_is_the_secrets_and_the_surveys() -> None:
    one, other = bytes(range(32)), bytes(range(1, 33))
    codes = {survey_code(secret, survey_id) for secret in (one, other) for survey_id in ("svy_1", "svy_2")}
    assert len(codes) == 4
    assert all(digest_of(code) for code in codes)
    assert survey_code(one, "svy_1") == survey_code(one, "svy_1")
