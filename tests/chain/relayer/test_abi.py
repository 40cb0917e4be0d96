"""Every function, event and error of the artifact, with any values, against eth_abi and hand-built signatures."""

from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_abi.exceptions import EncodingError
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from mereau.chain import contract
from mereau.chain.artifact import artifact

FEW = settings(max_examples=12)


def entries(kind: str) -> list[dict[str, Any]]:
    return [entry for entry in artifact()["abi"] if entry["type"] == kind]


def named(kind: str) -> Any:
    return pytest.mark.parametrize("entry", entries(kind), ids=lambda entry: entry["name"])


def types_of(entry: dict[str, Any], part: str = "inputs") -> list[str]:
    return [type_of(parameter) for parameter in entry[part]]


def type_of(parameter: dict[str, Any]) -> str:
    if parameter["type"].startswith("tuple"):
        inner = ",".join(type_of(one) for one in parameter["components"])
        return f"({inner}){parameter['type'][5:]}"
    return str(parameter["type"])


def signature_of(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(types_of(entry))})"


def values_of(kind: str) -> st.SearchStrategy[Any]:
    """Any value of an ABI type, as eth_abi gives it back."""
    if kind.endswith("[]"):
        return st.lists(values_of(kind[:-2]), max_size=3).map(tuple)
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind[4:] or 256) - 1)
    if kind.startswith("bytes") and kind != "bytes":
        size = int(kind[5:])
        return st.binary(min_size=size, max_size=size)
    return {
        "address": st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
        "bool": st.booleans(),
        "string": st.text(max_size=40),
        "bytes": st.binary(max_size=70),
    }[kind]


def arguments_of(entry: dict[str, Any], part: str = "inputs") -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(*map(values_of, types_of(entry, part)))


def names_of(entry: dict[str, Any]) -> list[str]:
    return [parameter["name"].rstrip("_") for parameter in entry["inputs"]]


def as_json(value: Any) -> Any:
    return "0x" + value.hex() if isinstance(value, bytes) else value


@named("function")
@given(data=st.data())
@FEW
def test_calls_are_what_the_standard_says(entry: dict[str, Any], data: st.DataObject) -> None:
    args = data.draw(arguments_of(entry))
    call = contract.encode_call(entry["name"], *args)
    assert call[:4] == keccak(text=signature_of(entry))[:4]
    assert decode(types_of(entry), call[4:]) == args
    assert contract.decode_call(call) == (entry["name"], dict(zip(names_of(entry), args, strict=True)))


@named("function")
@given(data=st.data())
@FEW
def test_results_are_read_as_declared(entry: dict[str, Any], data: st.DataObject) -> None:
    result = data.draw(arguments_of(entry, "outputs"))
    assert contract.decode_result(entry["name"], encode(types_of(entry, "outputs"), result)) == result


@named("event")
@given(data=st.data())
@FEW
def test_events_are_read_from_topics_and_data(entry: dict[str, Any], data: st.DataObject) -> None:
    args = data.draw(arguments_of(entry))
    fields = list(zip(entry["inputs"], args, strict=True))
    topics = [keccak(text=signature_of(entry))]
    topics += [encode([field["type"]], [value]) for field, value in fields if field["indexed"]]
    plain = [(field["type"], value) for field, value in fields if not field["indexed"]]
    payload = encode([kind for kind, _ in plain], [value for _, value in plain])
    event = contract.decode_event(topics, payload)
    assert event is not None
    assert event.name == entry["name"]
    assert event.data == dict(zip(names_of(entry), map(as_json, args), strict=True))
    assert contract.topic(entry["name"]) == topics[0]


@named("error")
@given(data=st.data())
@FEW
def test_errors_are_named_with_their_arguments(entry: dict[str, Any], data: st.DataObject) -> None:
    args = data.draw(arguments_of(entry))
    raw = keccak(text=signature_of(entry))[:4] + encode(types_of(entry), args)
    revert = contract.decode_revert(raw)
    assert revert == contract.Revert(entry["name"], dict(zip(names_of(entry), args, strict=True)))
    assert str(revert).startswith(entry["name"] + "(")


@named("error")
def test_a_cut_error_is_unknown_with_all_that_came(entry: dict[str, Any]) -> None:
    if not entry["inputs"]:
        return
    raw = keccak(text=signature_of(entry))[:4] + b"\x01"
    assert contract.decode_revert(raw) == contract.Revert("Unknown", {"data": raw})


@given(data=st.binary(max_size=200))
def test_no_bytes_make_the_decoders_fail_oddly(data: bytes) -> None:
    assert contract.decode_revert(data).name
    assert str(contract.decode_revert(data))


def test_no_two_functions_or_errors_share_a_selector() -> None:
    for kind in ("function", "error"):
        selectors = [keccak(text=signature_of(entry))[:4] for entry in entries(kind)]
        assert len(set(selectors)) == len(selectors)


LIMITS = [
    ("issue", (2**32, 1, bytes(32), b"", b"")),
    ("issue", (1, 2**64, bytes(32), b"", b"")),
    ("issue", (1, 1, bytes(33), b"", b"")),
    ("issue", (-1, 1, bytes(32), b"", b"")),
    ("setPartner", (1, bytes(19), 1, 1, True)),
    ("setPartner", (1, bytes(20), 2**64, 1, True)),
    ("publishTerms", (bytes(32), "uri", 2**64)),
    ("issue", (1, 1, bytes(32), b"")),
]


@pytest.mark.parametrize(("name", "args"), LIMITS)
def test_what_does_not_fit_is_refused_and_never_cut(name: str, args: tuple[Any, ...]) -> None:
    with pytest.raises(EncodingError):
        contract.encode_call(name, *args)


@pytest.mark.parametrize(
    "changes", [{"amount": 2**64}, {"partner": 2**32}, {"nonce": 2**40}, {"deadline": 2**40}, {"amount": -1}]
)
def test_a_record_that_does_not_fit_is_refused(changes: dict[str, int]) -> None:
    whole = {"amount": 1, "partner": 1, "nonce": 1, "deadline": 1, **changes}
    order = contract.Redemption(member=bytes(20), reference=bytes(32), **whole)
    with pytest.raises(OverflowError):
        contract.pack_redemptions([(order, bytes(65))])


def test_a_signature_too_long_for_its_length_field_is_refused() -> None:
    order = contract.Redemption(bytes(20), 1, 1, bytes(32), 0, 1)
    with pytest.raises(OverflowError):
        contract.pack_redemptions([(order, bytes(2**16))])


@given(partner=st.integers(0, 2**32 - 1), other=st.integers(0, 2**32 - 1))
def test_partners_never_share_a_storage_key(partner: int, other: int) -> None:
    assert (contract.partner_slot(partner) == contract.partner_slot(other)) == (partner == other)


@given(balance=st.integers(0, 2**64 - 1), above=st.binary(min_size=24, max_size=24))
def test_the_balance_is_read_whatever_stands_above_it(balance: int, above: bytes) -> None:
    assert contract.balance_in(above + balance.to_bytes(8, "big")) == balance
