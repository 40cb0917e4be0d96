"""Calls, digests, events and errors against eth_account, eth_abi and the artifact itself."""

import pytest
from eth_abi.abi import decode, encode
from eth_account.messages import encode_typed_data
from eth_utils import keccak as other_keccak
from hypothesis import given
from hypothesis import strategies as st

from mereau.chain import contract
from mereau.chain.artifact import artifact, creation_code, storage_slot
from mereau.chain.contract import OrderDomain, Redemption, Revert
from mereau.chain.hashing import ZERO_HASH, keccak

CHAIN_ID = 20_826
TOKEN = bytes.fromhex("00112233445566778899aabbccddeeff00112233")
MEMBER = bytes.fromhex("d8da6bf26964af9d7eed9e03e53415d37aa96045")
ROOT = keccak(b"root")
DOMAIN = OrderDomain(CHAIN_ID, TOKEN)

wallets = st.binary(min_size=20, max_size=20)
uint32, uint40, uint64 = (st.integers(0, 2**bits - 1) for bits in (32, 40, 64))


def oracle(name: str, *fields: tuple[str, str, object]) -> bytes:
    """The digest that eth_account signs."""
    message = encode_typed_data(
        {"name": "Mereau", "version": "1", "chainId": CHAIN_ID, "verifyingContract": "0x" + TOKEN.hex()},
        {name: [{"name": label, "type": kind} for label, kind, _ in fields]},
        {label: value for label, _, value in fields},
    )
    return other_keccak(b"\x19" + message.version + message.header + message.body)


@given(data=st.binary(max_size=300))
def test_keccak_is_keccak(data: bytes) -> None:
    assert keccak(data) == other_keccak(data)


@given(partner=uint32, sequence=uint64, packed=st.binary(max_size=96))
def test_issue_and_reverse_digests(partner: int, sequence: int, packed: bytes) -> None:
    head = (("partner", "uint32", partner), ("sequence", "uint64", sequence), ("trailRoot", "bytes32", ROOT))
    issue = DOMAIN.issue_digest(partner, sequence, ROOT, packed)
    reverse = DOMAIN.reverse_digest(partner, sequence, ROOT, packed)
    assert issue == oracle("Issue", *head, ("credits", "bytes", packed))
    assert reverse == oracle("Reverse", *head, ("debits", "bytes", packed))
    assert issue != reverse


@given(sequence=uint64, packed=st.binary(max_size=96))
def test_expire_digest(sequence: int, packed: bytes) -> None:
    fields = (("sequence", "uint64", sequence), ("trailRoot", "bytes32", ROOT), ("debits", "bytes", packed))
    assert DOMAIN.expire_digest(sequence, ROOT, packed) == oracle("Expire", *fields)


@given(member=wallets, amount=uint64, partner=uint32, nonce=uint40, deadline=uint40)
def test_redeem_digest(member: bytes, amount: int, partner: int, nonce: int, deadline: int) -> None:
    order = Redemption(member, amount, partner, ROOT, nonce, deadline)
    assert DOMAIN.redeem_digest(order) == oracle(
        "Redeem",
        ("member", "address", "0x" + member.hex()),
        ("amount", "uint64", amount),
        ("partner", "uint32", partner),
        ("reference", "bytes32", ROOT),
        ("nonce", "uint40", nonce),
        ("deadline", "uint40", deadline),
    )


def test_a_digest_is_bound_to_chain_and_contract() -> None:
    digests = {
        domain.expire_digest(1, ROOT, b"")
        for domain in (DOMAIN, OrderDomain(CHAIN_ID + 1, TOKEN), OrderDomain(CHAIN_ID, MEMBER))
    }
    assert len(digests) == 3


@given(items=st.lists(st.tuples(wallets, st.integers(0, 2**96 - 1)), max_size=20))
def test_lists_pack_into_words(items: list[tuple[bytes, int]]) -> None:
    packed = contract.pack_list(items)
    assert len(packed) == 32 * len(items)
    assert contract.unpack_list(packed) == items


def test_an_amount_beyond_twelve_bytes_does_not_pack() -> None:
    with pytest.raises(OverflowError):
        contract.pack_list([(MEMBER, 2**96)])


redemptions = st.builds(
    Redemption,
    wallets,
    uint64,
    uint32,
    st.binary(min_size=32, max_size=32),
    uint40,
    uint40,
)


@given(signed=st.lists(st.tuples(redemptions, st.binary(max_size=200)), max_size=8))
def test_redemptions_pack_back_to_back(signed: list[tuple[Redemption, bytes]]) -> None:
    packed = contract.pack_redemptions(signed)
    assert len(packed) == sum(76 + len(signature) for _, signature in signed)
    assert contract.unpack_redemptions(packed) == signed


def test_a_redemption_record_has_the_contracts_layout() -> None:
    order = Redemption(MEMBER, 5, 7, ROOT, 3, 9)
    record = contract.pack_redemptions([(order, b"\xaa\xbb")])
    assert record == (
        MEMBER + (5).to_bytes(8, "big") + (7).to_bytes(4, "big") + ROOT + (3).to_bytes(5, "big")
        + (9).to_bytes(5, "big") + b"\x00\x02\xaa\xbb"
    )  # fmt: skip


def test_calls_carry_selector_and_arguments() -> None:
    call = contract.encode_set_partner(4, MEMBER, allowance=None, period_cap=9, active=True)
    assert call[:4] == other_keccak(text="setPartner(uint32,address,uint64,uint64,bool)")[:4]
    values = decode(["uint32", "address", "uint64", "uint64", "bool"], call[4:])
    assert values == (4, "0x" + MEMBER.hex(), contract.UNLIMITED, 9, True)


def test_calls_are_read_back_and_strange_ones_are_not() -> None:
    call = contract.encode_publish_terms(ROOT, "https://example.test", 12)
    assert contract.decode_call(call) == (
        "publishTerms",
        {"termsHash": ROOT, "uri": "https://example.test", "effectiveAt": 12},
    )
    assert contract.decode_call(b"\x00\x00\x00\x00") is None


def test_a_deployment_carries_code_and_configuration() -> None:
    config = contract.Config("Points", "PTS", "uri", 0, MEMBER, 1, MEMBER, MEMBER, MEMBER, 2, 3, 4, transfers_open=True)
    data = contract.encode_deployment(config)
    assert data.startswith(creation_code())
    kinds = "(string,string,string,uint8,address,uint48,address,address,address,uint32,uint32,uint32,bool)"
    (values,) = decode([kinds], data[len(creation_code()) :])
    assert values[:4] == ("Points", "PTS", "uri", 0)
    assert values[5:6] + values[9:] == (1, 2, 3, 4, True)


def test_partner_terms_are_named() -> None:
    answer = encode(
        ["address", "uint64", "bool", *["uint64"] * 4, "uint32"], ["0x" + MEMBER.hex(), 1, True, 2, 3, 4, 5, 6]
    )
    terms = contract.decode_partner(answer)
    assert (terms.signer, terms.sequence, terms.active) == (MEMBER, 1, True)
    assert (terms.allowance, terms.period_cap, terms.net_issued, terms.period_issued, terms.period) == (2, 3, 4, 5, 6)
    assert terms.known
    assert not contract.decode_partner(bytes(8 * 32)).known


def test_events_are_decoded_ready_for_json() -> None:
    topics = [contract.topic("Redeemed"), MEMBER.rjust(32, b"\0")]
    data = encode(["uint32", "uint40", "bytes32"], [7, 3, ROOT])
    event = contract.decode_event(topics, data)
    assert event is not None
    assert event.name == "Redeemed"
    assert event.data == {
        "member": "0x" + MEMBER.hex(), "partner": 7, "nonce": 3, "reference": "0x" + ROOT.hex(),
    }  # fmt: skip


@pytest.mark.parametrize("topics", [[], [keccak(b"Nothing()")]])
def test_unknown_logs_are_no_events(topics: list[bytes]) -> None:
    assert contract.decode_event(topics, b"") is None


def test_every_event_has_its_own_topic() -> None:
    names = [entry["name"] for entry in artifact()["abi"] if entry["type"] == "event"]
    assert {"Issued", "Reversed", "Expired", "Redeemed", "PartnerSet", "Transfer"} <= set(names)
    assert len({contract.topic(name) for name in names}) == len(names)


def test_reverts_are_named_with_their_arguments() -> None:
    selector = other_keccak(text="LoyaltyAllowance(uint32,uint256,uint256)")[:4]
    revert = contract.decode_revert(selector + encode(["uint32", "uint256", "uint256"], [1, 2, 3]))
    assert revert == Revert("LoyaltyAllowance", {"partner": 1, "left": 2, "asked": 3})
    assert str(revert) == "LoyaltyAllowance(partner=1, left=2, asked=3)"


def test_the_compilers_own_errors_are_known() -> None:
    text = other_keccak(text="Error(string)")[:4] + encode(["string"], ["no"])
    panic = other_keccak(text="Panic(uint256)")[:4] + encode(["uint256"], [17])
    assert contract.decode_revert(text) == Revert("Error", {"message": "no"})
    assert contract.decode_revert(panic) == Revert("Panic", {"code": 17})


@pytest.mark.parametrize("data", [None, b"", b"\x01\x02\x03\x04", bytes.fromhex("08c379a0") + b"\x01"])
def test_what_cannot_be_named_is_unknown(data: bytes | None) -> None:
    assert contract.decode_revert(data).name == "Unknown"


def test_storage_keys_come_from_the_compilers_layout() -> None:
    slot = storage_slot("_accounts").to_bytes(32, "big")
    assert contract.account_slot(MEMBER) == other_keccak(MEMBER.rjust(32, b"\0") + slot)
    assert contract.partner_slot(3) != contract.partner_slot(4)
    assert contract.total_supply_slot() == storage_slot("_totalSupply").to_bytes(32, "big")
    with pytest.raises(LookupError, match="_nothing"):
        storage_slot("_nothing")


def test_a_balance_is_the_low_end_of_its_word() -> None:
    assert contract.balance_in(b"\xff" * 24 + (12).to_bytes(8, "big")) == 12


def test_constants() -> None:
    assert (len(ZERO_HASH), len(contract.ZERO_ADDRESS)) == (32, 20)
