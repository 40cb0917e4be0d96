"""Who may download, and the page of links that lead nowhere."""

from datetime import UTC, datetime, timedelta

import pytest

from mereau.rewards.downloads.domain import Terms, dead_end, refusal, terms_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("state", "expires_at", "refused"),
    [
        ("granted", NOW + SECOND, False),
        ("granted", None, False),
        ("used", NOW + SECOND, False),
        ("granted", NOW, True),
        ("used", NOW - SECOND, True),
        *((state, NOW + SECOND, True) for state in ("burning", "expired", "refunded", "rejected", "cancelled")),
    ],
)
def test_links_are_for_what_is_granted_and_not_over(state: str, expires_at: datetime | None, refused: bool) -> None:
    assert (refusal(state, expires_at, NOW) is not None) == refused


def test_a_promise_is_read_back() -> None:
    terms = Terms("ab" * 32, 900, 3)
    assert terms_of({"content": "ab" * 32, "link_life_s": 900, "downloads_max": 3, "later": True}) == terms


def test_a_dead_end_says_what_to_do_in_both_languages() -> None:
    french, english = dead_end("fr"), dead_end("en")
    assert "Demandez-en un nouveau" in french[1]
    assert "Ask for a new one" in english[1]
    assert french[0] != english[0]
