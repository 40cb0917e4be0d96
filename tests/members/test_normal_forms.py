"""M4: one mailbox has one normal form, however it is spelt."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mereau.members.identity.domain import device_digest, email_key

LOCALS = st.from_regex(r"[a-z][a-z0-9.]{0,12}[a-z0-9]", fullmatch=True).filter(lambda text: ".." not in text)
DOMAINS = st.sampled_from(["example.org", "shop.fr", "gmail.com", "googlemail.com"])


@pytest.mark.parametrize(
    ("email", "key"),
    [
        ("Ada@Example.ORG", "ada@example.org"),
        ("ada+shop@example.org", "ada@example.org"),
        ("ada+shop+more@example.org", "ada@example.org"),
        ("a.d.a@gmail.com", "ada@gmail.com"),
        ("A.da+x@GoogleMail.com", "ada@gmail.com"),
        ("a.da@example.org", "a.da@example.org"),
        ("\uff41\uff44\uff41@example.org", "ada@example.org"),
        ("STRASSE@example.org", "strasse@example.org"),
        ("straße@example.org", "strasse@example.org"),
        ("ada@example.org.", "ada@example.org"),
        ("+tag@example.org", "+tag@example.org"),
        (".@gmail.com", ".@gmail.com"),
    ],
)
def test_spellings_of_one_mailbox(email: str, key: str) -> None:
    assert email_key(email) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@example.org", "adam@example.org"),
        ("ada@example.org", "ada@example.com"),
        ("a.da@example.org", "ada@example.org"),
        ("ada@gmail.com", "ada@gmail.co"),
    ],
)
def test_two_mailboxes_stay_two(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)


@given(st.text(max_size=40), st.text(max_size=40))
@example("\u017f+x", "gmail.com")
@example("\u0345\u03b1", "example.org")
def test_a_normal_form_is_its_own_normal_form(local: str, domain: str) -> None:
    key = email_key(f"{local}@{domain}")
    assert email_key(key) == key


@given(LOCALS, DOMAINS, st.from_regex(r"[a-z0-9+]{0,8}", fullmatch=True))
def test_case_and_tags_never_make_another_mailbox(local: str, domain: str, tag: str) -> None:
    shouted = "".join(letter.upper() if index % 2 else letter for index, letter in enumerate(local))
    assert email_key(f"{shouted}+{tag}@{domain.upper()}") == email_key(f"{local}@{domain}")


@given(LOCALS, st.integers(min_value=1, max_value=8))
def test_dots_matter_everywhere_but_at_gmail(local: str, place: int) -> None:
    place = min(place, len(local) - 1)
    dotted = f"{local[:place]}.{local[place:]}"
    assert email_key(f"{dotted}@gmail.com") == email_key(f"{local}@googlemail.com")
    assert email_key(f"{dotted}@example.org") != email_key(f"{local}@example.org")


def test_a_devices_tag_is_not_in_its_digest() -> None:
    assert device_digest("device-1234") == device_digest("device-1234")
    assert device_digest("device-1234") != device_digest("device-1235")
    assert b"device" not in device_digest("device-1234")
