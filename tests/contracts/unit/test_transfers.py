"""The ERC-20 face: one behaviour suite for open transfers, one for closed ones."""

import pytest

from contracts.harness import PARTNER, PARTNER_ID, U64_MAX, ZERO, Token, transfer

U256_MAX = 2**256 - 1


@pytest.fixture
def holder(open_token: Token) -> str:
    """An account of the chain that holds 100 tokens."""
    open_token.fund((open_token.chain.accounts[5], 100))
    return open_token.chain.accounts[5]


@pytest.fixture
def receiver(open_token: Token) -> str:
    return open_token.chain.accounts[6]


class TestOpen:
    @pytest.mark.parametrize("value", [0, 1, 100])
    def test_moves_tokens(self, open_token: Token, holder: str, receiver: str, value: int) -> None:
        call = open_token.call.transfer(receiver, value)
        assert call.call({"from": holder}) is True
        assert open_token.run(call, holder) == [transfer(holder, receiver, value)]
        assert (open_token.balance(holder), open_token.balance(receiver)) == (100 - value, value)
        assert open_token.supply() == 100

    @pytest.mark.parametrize("value", [101, U64_MAX, U64_MAX + 1, U256_MAX])
    def test_moves_no_more_than_the_balance(self, open_token: Token, holder: str, receiver: str, value: int) -> None:
        assert open_token.refusal(open_token.call.transfer(receiver, value), holder) == (
            "ERC20InsufficientBalance",
            {"sender": holder, "balance": 100, "needed": value},
        )

    def test_refuses_the_zero_address(self, open_token: Token, holder: str) -> None:
        assert open_token.refusal(open_token.call.transfer(ZERO, 1), holder) == (
            "ERC20InvalidReceiver",
            {"receiver": ZERO},
        )
        assert open_token.refusal(open_token.call.transferFrom(ZERO, holder, 0), holder) == (
            "ERC20InvalidSender",
            {"sender": ZERO},
        )

    def test_sending_to_oneself_changes_nothing(self, open_token: Token, holder: str) -> None:
        before = open_token.call.accountOf(holder).call()
        assert open_token.run(open_token.call.transfer(holder, 60), holder) == [transfer(holder, holder, 60)]
        assert open_token.call.accountOf(holder).call() == before

    def test_an_allowance_is_used_up(self, open_token: Token, holder: str, receiver: str) -> None:
        approval = {"owner": holder, "spender": receiver, "value": 30}
        assert open_token.run(open_token.call.approve(receiver, 30), holder) == [("Approval", approval)]
        spend = open_token.call.transferFrom(holder, receiver, 30)
        assert spend.call({"from": receiver}) is True
        assert open_token.run(spend, receiver) == [transfer(holder, receiver, 30)]
        assert open_token.call.allowance(holder, receiver).call() == 0
        assert open_token.refusal(open_token.call.transferFrom(holder, receiver, 1), receiver) == (
            "ERC20InsufficientAllowance",
            {"spender": receiver, "allowance": 0, "needed": 1},
        )

    def test_an_allowance_does_not_lend_a_balance(self, open_token: Token, holder: str, receiver: str) -> None:
        open_token.run(open_token.call.approve(receiver, 101), holder)
        assert open_token.refusal(open_token.call.transferFrom(holder, receiver, 101), receiver) == (
            "ERC20InsufficientBalance",
            {"sender": holder, "balance": 100, "needed": 101},
        )

    def test_the_largest_allowance_is_never_used_up(self, open_token: Token, holder: str, receiver: str) -> None:
        open_token.run(open_token.call.approve(receiver, U256_MAX), holder)
        open_token.run(open_token.call.transferFrom(holder, receiver, 30), receiver)
        assert open_token.call.allowance(holder, receiver).call() == U256_MAX

    def test_refuses_to_approve_nobody(self, open_token: Token, holder: str) -> None:
        assert open_token.refusal(open_token.call.approve(ZERO, 1), holder) == (
            "ERC20InvalidSpender",
            {"spender": ZERO},
        )

    def test_restrictions_say_in_advance_what_would_fail(self, open_token: Token, holder: str, receiver: str) -> None:
        detect = open_token.call.detectTransferRestriction
        assert detect(holder, receiver, 100).call() == 0
        assert detect(holder, receiver, 101).call() == 4
        assert detect(holder, ZERO, 1).call() == detect(ZERO, holder, 1).call() == 3
        open_token.run(open_token.call.pause(), open_token.roles.pauser)
        assert detect(holder, receiver, 1).call() == 2


class TestProtectionTravels:
    """Unprotected tokens leave first, then those of the previous epoch, then those of the current one."""

    @pytest.fixture
    def layered(self, open_token: Token, holder: str) -> Token:
        """The holder has 100 unprotected tokens, 20 of the previous epoch and 7 of the current one."""
        open_token.to_epoch(open_token.epoch() + 2)
        open_token.fund((holder, 20))
        open_token.to_epoch(open_token.epoch() + 1)
        open_token.fund((holder, 7))
        assert open_token.call.expirableOf(holder).call() == 100
        return open_token

    @pytest.mark.parametrize(
        ("value", "of_current", "of_previous"),
        [(0, 0, 0), (100, 0, 0), (101, 0, 1), (120, 0, 20), (121, 1, 20), (127, 7, 20)],
    )
    def test_the_receiver_gets_exactly_what_left(
        self, layered: Token, holder: str, receiver: str, value: int, of_current: int, of_previous: int
    ) -> None:
        layered.run(layered.call.transfer(receiver, value), holder)
        balance, current, previous, nonce, epoch = layered.call.accountOf(receiver).call()
        assert (balance, current, previous, nonce) == (value, of_current, of_previous, 0)
        assert epoch == layered.epoch()
        assert layered.call.accountOf(holder).call()[:3] == [127 - value, 7 - of_current, 20 - of_previous]

    def test_no_expiry_can_be_dodged_or_hastened(self, layered: Token, holder: str, receiver: str) -> None:
        def expirable() -> int:
            return sum(layered.call.expirableOf(account).call() for account in (holder, receiver))

        layered.run(layered.call.transfer(receiver, 110), holder)
        assert expirable() == 100
        layered.run(layered.call.transfer(holder, 110), receiver)
        assert expirable() == 100
        layered.to_epoch(layered.epoch() + 1)
        assert expirable() == 120

    def test_counters_above_the_balance_move_as_far_as_it_goes(
        self, layered: Token, holder: str, receiver: str
    ) -> None:
        layered.run(layered.reverse(PARTNER, PARTNER_ID, layered.next_sequence(), [(holder, 117)]))
        layered.run(layered.call.transfer(receiver, 10), holder)
        assert layered.call.accountOf(receiver).call()[:3] == [10, 0, 10]
        assert layered.call.accountOf(holder).call()[:3] == [0, 7, 10]


class TestClosed:
    def test_every_door_is_shut(self, token: Token) -> None:
        holder, receiver = token.chain.accounts[5:7]
        token.fund((holder, 100))
        for call in (
            token.call.transfer(receiver, 1),
            token.call.transfer(receiver, 0),
            token.call.approve(receiver, 1),
            token.call.transferFrom(holder, receiver, 0),
        ):
            assert token.refusal(call, holder) == ("LoyaltyTransfersClosed", {})
        assert token.call.allowance(holder, receiver).call() == 0
        assert token.call.detectTransferRestriction(holder, receiver, 1).call() == 1


def test_every_restriction_has_words(token: Token) -> None:
    messages = [token.call.messageForTransferRestriction(code).call() for code in range(7)]
    assert messages == [
        "No restriction",
        "Tokens are not transferable between members",
        "The token is paused",
        "The zero address cannot hold tokens",
        "The balance is too low",
        "Unknown restriction code",
        "Unknown restriction code",
    ]
