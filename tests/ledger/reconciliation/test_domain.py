"""The comparison itself: nothing that differs goes unnamed, nothing that agrees is named."""

from hypothesis import given
from hypothesis import strategies as st

from mereau.ledger.reconciliation.domain import Figures, report

WALLETS = st.sampled_from([bytes([index]) * 20 for index in range(6)])
BALANCES = st.dictionaries(WALLETS, st.integers(0, 50), max_size=6)


def compare(chain: dict[bytes, int], mirror: dict[bytes, int], ledger: dict[bytes, int], **supply: int) -> list[str]:
    total = sum(chain.values())
    figures = Figures(chain, mirror, ledger, supply.get("supply_chain", total), supply.get("supply_mirror", total))
    return [str(difference) for difference in report(7, bytes(32), figures).differences]


@given(BALANCES)
def test_three_that_agree_have_no_drift(balances: dict[bytes, int]) -> None:
    figures = Figures(balances, balances, balances, sum(balances.values()), sum(balances.values()))
    found = report(7, bytes(32), figures)
    assert (found.drift_tokens, found.differences, found.accounts_checked) == (0, [], len(balances))


@given(BALANCES, BALANCES, BALANCES)
def test_the_drift_is_the_sum_of_what_differs(
    chain: dict[bytes, int], mirror: dict[bytes, int], ledger: dict[bytes, int]
) -> None:
    total = sum(chain.values())
    found = report(7, bytes(32), Figures(chain, mirror, ledger, total, total))
    expected = sum(
        abs(chain.get(wallet, 0) - other.get(wallet, 0))
        for other in (mirror, ledger)
        for wallet in chain.keys() | other.keys()
    )
    assert found.drift_tokens == expected
    assert bool(found.differences) == bool(expected)


def test_each_difference_is_named() -> None:
    a, b = b"\x0a" * 20, b"\x0b" * 20
    assert compare({a: 5}, {a: 4}, {a: 5}) == [f"mirror: 0x{a.hex()} is 5 on chain, 4 here"]
    assert compare({a: 5}, {a: 5}, {a: 5, b: 2}) == [f"ledger: 0x{b.hex()} is 0 on chain, 2 here"]
    assert compare({a: 5}, {a: 5}, {a: 5}, supply_mirror=6) == ["supply: the supply is 5 on chain, 6 here"]
    assert compare({a: 5}, {a: 5}, {a: 5}, supply_chain=9, supply_mirror=9) == ["sum: the supply is 9 on chain, 5 here"]
