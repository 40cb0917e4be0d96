"""M4: who may bring whom."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.codes import plain, spell
from mereau.core.ids import ALPHABET
from mereau.earning.referrals.domain import CODE_BITS, CODE_CHARS, Person, may_qualify, refusal

TODAY, YESTERDAY = date(2026, 3, 2), date(2026, 3, 1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def person(name: str, **facts: Any) -> Person:
    fields: dict[str, Any] = {"email_key": None, "phone": None, "device_digest": None, "joined_on": TODAY}
    return Person(f"mem_{name}", **fields | facts)


FRIEND, REFERRER = person("friend"), person("referrer")


def test_an_honest_friend_counts() -> None:
    assert refusal(FRIEND, [REFERRER], has_other_account=False) is None
    assert refusal(FRIEND, [person("r", joined_on=YESTERDAY), person("s")], has_other_account=False) is None
    assert refusal(FRIEND, [REFERRER, person("s", joined_on=YESTERDAY)], has_other_account=False) is None


def test_nobody_brings_themselves() -> None:
    assert refusal(REFERRER, [REFERRER], has_other_account=False) == "self_referral"


@pytest.mark.parametrize("fact", [{"email_key": "a@b.c"}, {"phone": "+33612345678"}, {"device_digest": b"d"}])
def test_two_accounts_of_one_person_are_one(fact: dict[str, Any]) -> None:
    assert refusal(person("f", **fact), [person("r", **fact)], has_other_account=False) == "self_referral"
    assert refusal(person("f", **fact), [REFERRER, person("s", **fact)], has_other_account=False) == "duplicate_account"
    assert refusal(person("f", **fact), [REFERRER], has_other_account=True) == "duplicate_account"


@pytest.mark.parametrize("length", [1, 2, 10])
def test_a_ring_is_refused_however_long(length: int) -> None:
    above = [person(str(number), joined_on=YESTERDAY) for number in range(length)]
    assert refusal(FRIEND, [REFERRER, *above, FRIEND], has_other_account=False) == "ring"


def test_a_chain_made_in_one_day_is_one_persons() -> None:
    assert refusal(FRIEND, [REFERRER, person("s")], has_other_account=False) == "same_day_chain"


PEOPLE = st.builds(
    Person,
    id=st.sampled_from(["a", "b", "c", "d"]),
    email_key=st.sampled_from([None, "x", "y"]),
    phone=st.sampled_from([None, "1"]),
    device_digest=st.sampled_from([None, b"d"]),
    joined_on=st.sampled_from([TODAY, YESTERDAY]),
)


@given(PEOPLE, PEOPLE)
def test_to_be_the_same_goes_both_ways(one: Person, other: Person) -> None:
    assert one.is_same(other) == other.is_same(one)
    assert one.is_same(one)


@given(PEOPLE, st.lists(PEOPLE, min_size=1, max_size=4))
def test_whoever_shares_anything_with_the_line_is_refused(friend: Person, line: list[Person]) -> None:
    shares = any(friend.is_same(other) for other in line)
    reason = refusal(friend, line, has_other_account=False)
    assert (reason in {"self_referral", "ring", "duplicate_account"}) == shares


@given(st.integers(0, 2**CODE_BITS - 1), st.integers(0, 2**CODE_BITS - 1))
def test_codes_differ_and_are_read_back_however_typed(one: int, other: int) -> None:
    code = spell(one, CODE_CHARS)
    assert (code == spell(other, CODE_CHARS)) == (one == other)
    assert set(code) <= set(ALPHABET)
    typed = f" {code[:5].lower()}-{code[5:]} ".replace("0", "o").replace("1", "l")
    assert plain(typed) == code


@pytest.mark.parametrize(
    ("bought_at", "amount_minor", "expected"),
    [
        (NOW, 2_000, True),
        (NOW, 1_999, False),
        (NOW - timedelta(seconds=1), 5_000, False),
        (NOW + timedelta(days=90), 5_000, False),
        (NOW + timedelta(days=89), 5_000, True),
    ],
)
def test_what_a_purchase_must_be(bought_at: datetime, amount_minor: int, *, expected: bool) -> None:
    assert may_qualify(bought_at, amount_minor, NOW, NOW + timedelta(days=90), 2_000) is expected


@pytest.mark.parametrize("amount_minor", [0, -1])
def test_a_purchase_of_nothing_is_none(amount_minor: int) -> None:
    assert not may_qualify(NOW, amount_minor, NOW, NOW + timedelta(days=90), 0)
