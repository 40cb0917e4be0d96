"""Where state lies: one word per account, and words that orders write together."""

from typing import Any

import pytest
from eth_utils import keccak, to_canonical_address

from contracts.harness import (
    ANNA,
    PARTNER,
    PARTNER_ID,
    U40_MAX,
    U56_MAX,
    U64_MAX,
    ZERO,
    Redemption,
    Token,
    artifact,
    pack,
    transfer,
)


def slot(label: str) -> dict[str, Any]:
    layout = artifact("LoyaltyToken")["storageLayout"]["storage"]
    (entry,) = (entry for entry in layout if entry["label"] == label)
    return dict(entry)


def account_slot(member: str) -> int:
    base = int(slot("_accounts")["slot"])
    return int.from_bytes(keccak(to_canonical_address(member).rjust(32, b"\x00") + base.to_bytes(32, "big")), "big")


def read(token: Token, number: int) -> int:
    return int.from_bytes(token.chain.w3.eth.get_storage_at(token.contract.address, number), "big")


def write(token: Token, number: int, word: int) -> None:
    """Puts a word straight into the state of the block under construction: for states out of reach of any test."""
    chain = token.chain.tester.backend.chain
    vm = chain.get_vm()
    vm.state.set_storage(to_canonical_address(token.contract.address), number, word)
    vm.state.persist()
    chain.header = chain.header.copy(state_root=vm.state.state_root)
    token.chain.tester.mine_block()


def word(*, balance: int = 0, current: int = 0, previous: int = 0, nonce: int = 0, epoch: int = 0) -> int:
    return balance | current << 64 | previous << 128 | nonce << 192 | epoch << 232


def test_an_account_is_one_word(token: Token) -> None:
    token.fund((ANNA.address, 30))
    token.to_epoch(token.epoch() + 1)
    token.fund((ANNA.address, 8))
    order = Redemption(member=ANNA.address, amount=9, partner=PARTNER_ID, nonce=0, deadline=token.chain.now() + 60)
    token.run(token.redeem((ANNA, order)))
    expected = {"balance": 29, "current": 8, "previous": 30, "nonce": 1, "epoch": token.epoch()}
    assert read(token, account_slot(ANNA.address)) == word(**expected)
    assert token.call.accountOf(ANNA.address).call() == list(expected.values())


def test_every_storage_write_of_a_credit_is_accounted_for(token: Token) -> None:
    """One word for each of two members, one for the partner's counters, one for the supply: nothing else."""
    holders = [ANNA.address, PARTNER.address]
    token.fund(*((holder, 1) for holder in holders))
    partner_base = keccak(PARTNER_ID.to_bytes(32, "big") + int(slot("_partners")["slot"]).to_bytes(32, "big"))
    partner_slot = int.from_bytes(partner_base, "big")
    supply_slot = int(slot("_totalSupply")["slot"])
    watched = [*map(account_slot, holders), partner_slot, partner_slot + 1, supply_slot]
    before = [read(token, number) for number in watched]
    token.fund(*((holder, 1) for holder in holders))
    changed = [read(token, number) != value for number, value in zip(watched, before, strict=True)]
    assert changed == [True, True, False, True, True]


def test_the_supply_is_the_low_half_of_its_word(token: Token) -> None:
    entry = slot("_totalSupply")
    token.fund((ANNA.address, 1234))
    token.run(token.expire(token.roles.expirer, 1, []))
    token.run(token.call.pause(), token.roles.pauser)
    supply_word = read(token, int(entry["slot"]))
    assert (entry["offset"], entry["type"]) == (0, "t_uint128")
    assert supply_word & (2**128 - 1) == token.supply() == 1234
    assert supply_word >> 128 == 1 << 8 | 1  # The expiry sequence above the pause flag.


def test_the_domain_is_public(token: Token) -> None:
    """EIP-5267: fields 0x0f are name, version, chain id and contract."""
    assert token.call.eip712Domain().call() == [
        b"\x0f",
        "Mereau",
        "1",
        token.chain.w3.eth.chain_id,
        token.contract.address,
        b"\x00" * 32,
        [],
    ]


class TestEdges:
    """States that no test could reach by orders, written into storage."""

    def test_the_protection_counter_saturates(self, token: Token) -> None:
        token.fund((ANNA.address, 1))
        full = word(balance=1, current=U64_MAX - 5, previous=3, nonce=2, epoch=token.epoch())
        write(token, account_slot(ANNA.address), full)
        token.fund((ANNA.address, 10))
        assert token.call.accountOf(ANNA.address).call() == [11, U64_MAX, 3, 2, token.epoch()]
        token.fund((ANNA.address, 10))
        assert token.call.accountOf(ANNA.address).call() == [21, U64_MAX, 3, 2, token.epoch()]
        assert token.call.expirableOf(ANNA.address).call() == 0

    @pytest.mark.parametrize("current", [2**63 - 1, 2**63, 2**63 + 1])
    def test_the_counter_is_exact_on_both_sides_of_its_top_bit(self, token: Token, current: int) -> None:
        token.fund((ANNA.address, 1))
        write(token, account_slot(ANNA.address), word(balance=1, current=current, epoch=token.epoch()))
        token.fund((ANNA.address, U56_MAX - 1))
        assert token.call.accountOf(ANNA.address).call()[:3] == [U56_MAX, current + U56_MAX - 1, 0]

    def test_received_protection_saturates_too(self, open_token: Token) -> None:
        token = open_token
        sender, receiver = token.chain.accounts[5:7]
        token.fund((sender, 50), (receiver, 1))
        write(
            token,
            account_slot(receiver),
            word(balance=1, current=U64_MAX - 1, previous=U64_MAX - 1, epoch=token.epoch()),
        )
        write(token, account_slot(sender), word(balance=50, current=25, previous=25, epoch=token.epoch()))
        token.run(token.call.transfer(receiver, 50), sender)
        assert token.call.accountOf(receiver).call()[:3] == [51, U64_MAX, U64_MAX]

    def test_the_supply_ends_below_2_64(self, token: Token) -> None:
        write(token, int(slot("_totalSupply")["slot"]), U64_MAX - 10)
        order = token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 11)])
        assert token.refusal(order) == ("LoyaltySupply", {"left": 10, "asked": 11})
        token.fund((ANNA.address, 10))
        assert token.supply() == U64_MAX

    def test_the_last_nonce_is_never_used_up(self, token: Token) -> None:
        token.fund((ANNA.address, 10))
        for nonce, error in ((U40_MAX - 1, None), (U40_MAX, "LoyaltyNonce")):
            write(token, account_slot(ANNA.address), word(balance=10, nonce=nonce, epoch=token.epoch()))
            order = Redemption(
                member=ANNA.address, amount=1, partner=PARTNER_ID, nonce=nonce, deadline=token.chain.now() + 60
            )
            call = token.redeem((ANNA, order))
            if error is None:
                assert token.run(call)[0] == transfer(ANNA.address, ZERO, 1)
                assert token.call.accountOf(ANNA.address).call()[3:] == [U40_MAX, token.epoch()]
            else:
                expected = {"member": ANNA.address, "expected": nonce, "given": nonce}
                assert token.refusal(call) == (error, expected)

    def test_the_last_sequence_ends_the_line(self, token: Token) -> None:
        partner_base = keccak(PARTNER_ID.to_bytes(32, "big") + int(slot("_partners")["slot"]).to_bytes(32, "big"))
        counters = int.from_bytes(partner_base, "big") + 1
        write(token, counters, read(token, counters) | U64_MAX)
        assert token.call.partnerSequence(PARTNER_ID).call() == U64_MAX
        order = token.issue(PARTNER, PARTNER_ID, 0, [])
        assert token.refusal(order) == ("LoyaltySequence", {"expected": 2**64, "given": 0})


class TestMulticall:
    def test_carries_several_orders_in_one_transaction(self, token: Token) -> None:
        orders = [
            token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 30)]),
            token.reverse(PARTNER, PARTNER_ID, 2, [(ANNA.address, 10)]),
            token.redeem(
                (
                    ANNA,
                    Redemption(
                        member=ANNA.address,
                        amount=5,
                        partner=PARTNER_ID,
                        nonce=0,
                        deadline=token.chain.now() + 60,
                    ),
                )
            ),
        ]
        events = token.run(token.call.multicall([order._encode_transaction_data() for order in orders]))
        assert [name for name, _ in events] == ["Transfer", "Issued", "Transfer", "Reversed", "Transfer", "Redeemed"]
        assert token.balance(ANNA.address) == 15

    def test_is_all_or_nothing(self, token: Token) -> None:
        orders = [
            token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 30)]),
            token.issue(PARTNER, PARTNER_ID, 1, [(ANNA.address, 30)]),
        ]
        call = token.call.multicall([order._encode_transaction_data() for order in orders])
        assert token.refusal(call) == ("LoyaltySequence", {"expected": 2, "given": 1})

    def test_lends_no_role(self, token: Token) -> None:
        call = token.call.multicall([token.call.pause()._encode_transaction_data()])
        assert token.refusal(call, token.roles.stranger)[0] == "AccessControlUnauthorizedAccount"
        token.run(call, token.roles.pauser)
        assert token.call.paused().call() is True


def test_packed_items_are_one_word_each() -> None:
    assert pack([(ANNA.address, 5)]) == to_canonical_address(ANNA.address) + (5).to_bytes(12, "big")
