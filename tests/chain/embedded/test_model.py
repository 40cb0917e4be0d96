"""A machine sends, queues, replaces and restarts; a shadow in plain Python says what must come of it."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chain.embedded.support import CHAIN_ID, GWEI, account, sign
from mereau.chain.embedded import ChainConfig, ChainStore, EmbeddedChain
from mereau.chain.embedded.chain import FUNDS_WEI
from mereau.chain.embedded.encoding import receipts_json
from mereau.chain.embedded.errors import ChainError

PEOPLE = [account(number) for number in range(3)]
SINK = bytes.fromhex("5a" * 20)
CONFIG = ChainConfig(chain_id=CHAIN_ID, funded=tuple(bytes.fromhex(person.address[2:]) for person in PEOPLE))

Queued = tuple[int, int]  # fee in gwei, value


class ChainMachine(RuleBasedStateMachine):
    """`nonces` and `queues` are the shadow; the sink's balance is the sum of all that was mined."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.chain = self._open()
        self.nonces = [0] * len(PEOPLE)
        self.queues: list[dict[int, Queued]] = [{} for _ in PEOPLE]
        self.received = 0
        self.mined: list[bytes] = []

    def teardown(self) -> None:
        self.chain.store.close()
        self.directory.cleanup()

    def _open(self) -> EmbeddedChain:
        return EmbeddedChain(ChainStore(Path(self.directory.name)), CONFIG)

    def _mine(self, person: int, value: int) -> None:
        self.received += value
        self.nonces[person] += 1
        queue = self.queues[person]
        while self.nonces[person] in queue:
            self.received += queue.pop(self.nonces[person])[1]
            self.nonces[person] += 1

    def _expected(self, person: int, nonce: int, fee: int) -> str | None:
        """What the chain must say, None for a hash."""
        if nonce < self.nonces[person]:
            return "nonce too low"
        old = self.queues[person].get(nonce)
        if old is not None and fee * 10 < old[0] * 11:
            return "replacement transaction underpriced"
        return None

    @rule(
        person=st.integers(0, len(PEOPLE) - 1),
        ahead=st.integers(-1, 3),
        fee=st.integers(3, 12),
        value=st.integers(0, 10**9),
    )
    def send(self, person: int, ahead: int, fee: int, value: int) -> None:
        nonce = max(self.nonces[person] + ahead, 0)
        raw = sign(
            PEOPLE[person],
            nonce=nonce,
            value=value,
            maxFeePerGas=fee * GWEI,
            maxPriorityFeePerGas=fee * GWEI // 10,
        )
        expected = self._expected(person, nonce, fee)
        (answer,) = self.chain.submit([bytes.fromhex(raw[2:])])
        if isinstance(answer, ChainError):
            # The same bytes again are known, whether they were mined or wait.
            assert answer.message == "already known" or answer.message.startswith(expected or "nothing")
            return
        assert expected is None
        if nonce == self.nonces[person]:
            self.mined.append(answer)
            self._mine(person, value)
        else:
            self.queues[person][nonce] = (fee, value)

    @rule(person=st.integers(0, len(PEOPLE) - 1), count=st.integers(2, 5), data=st.data())
    def send_together(self, person: int, count: int, data: st.DataObject) -> None:
        first = self.nonces[person]
        if any(nonce in self.queues[person] for nonce in range(first, first + count)):
            return
        order = data.draw(st.permutations(range(first, first + count)))
        before = self.chain.head.header.number
        raws = [sign(PEOPLE[person], nonce=nonce, value=nonce + 1) for nonce in order]
        answers = self.chain.submit([bytes.fromhex(raw[2:]) for raw in raws])
        assert all(isinstance(answer, bytes) for answer in answers)
        assert self.chain.head.header.number == before + 1
        for nonce in range(first, first + count - 1):
            self.received += nonce + 1
        self.nonces[person] = first + count - 1
        self._mine(person, first + count)

    @rule()
    def restart(self) -> None:
        self.chain.store.close()
        self.chain = self._open()

    @rule()
    def mine_nothing(self) -> None:
        before = self.chain.head
        self.chain.mine_empty()
        assert self.chain.head.header.parent_hash == before.digest
        assert self.chain.head.header.state_root == before.header.state_root

    @invariant()
    def the_state_is_the_shadows(self) -> None:
        world = self.chain.world_at(self.chain.head.header)
        for person, (nonce, queue) in enumerate(zip(self.nonces, self.queues, strict=True)):
            address = CONFIG.funded[person]
            assert world.get_nonce(address) == nonce
            assert all(self.chain.pool.at(address, ahead) is not None for ahead in queue)
        assert world.get_balance(SINK) == self.received
        assert len(self.chain.store.queued()) == sum(map(len, self.queues))

    @invariant()
    def no_wei_appears_or_vanishes_but_the_base_fee(self) -> None:
        head = self.chain.head.header
        world = self.chain.world_at(head)
        everyone = [*CONFIG.funded, SINK, head.coinbase]
        present = sum(world.get_balance(address) for address in everyone)
        burnt = 0
        for row in self.chain.store.blocks(1, head.number):
            header = type(head).decode(row.header)
            burnt += header.base_fee * header.gas_used
        assert present + burnt == FUNDS_WEI * len(PEOPLE)

    @invariant()
    def what_was_mined_stays_where_it_is(self) -> None:
        for digest in self.mined[-5:]:
            location = self.chain.store.location(digest)
            assert location is not None
            row = self.chain.store.block(location[0])
            assert row is not None
            receipt = receipts_json(row, chain_id=CHAIN_ID)[location[1]]
            assert receipt["transactionHash"] == "0x" + digest.hex()
            assert receipt["status"] == "0x1"


ChainMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=25)
TestChain = ChainMachine.TestCase
