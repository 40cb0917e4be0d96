"""For which partner a caller acts."""

import pytest

from mereau.auth.domain import Principal, Role
from mereau.core.errors import InvalidInputError
from mereau.partners.domain import acting_partner


def caller(partner_id: str | None) -> Principal:
    role = Role.OPERATOR if partner_id is None else Role.STAFF
    return Principal("key_1", role, frozenset(), partner_id=partner_id)


@pytest.mark.parametrize(
    ("own", "named", "expected"),
    [("par_1", None, "par_1"), ("par_1", "par_1", "par_1"), (None, "par_2", "par_2")],
)
def test_a_partner_acts_for_itself_and_an_operator_for_whom_it_names(
    own: str | None, named: str | None, expected: str
) -> None:
    assert acting_partner(caller(own), named) == expected


@pytest.mark.parametrize(
    ("own", "named", "code"), [("par_1", "par_2", "not_yours"), ("par_1", "", "not_yours"), (None, None, "missing")]
)
def test_another_partner_or_none_is_named(own: str | None, named: str | None, code: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        acting_partner(caller(own), named)
    assert [(found.pointer, found.code) for found in refusal.value.errors] == [("/partner_id", code)]
