"""py-evm's own chain, with its own databases and checks, imports every block and reaches the same roots."""

from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from eth._utils.db import apply_state_dict
from eth.chains.base import Chain
from eth.constants import BLANK_ROOT_HASH
from eth.db.atomic import AtomicDB
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_utils import ValidationError

from chain.embedded.assembler import BURNER, COUNTER, REVERTER, SETTER, assemble, creation, words
from chain.embedded.support import CHAIN_ID, GWEI, Client, Node, account, sign

# py-evm warns of an opcode that the history uses on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:SELFDESTRUCT opcode:DeprecationWarning")

# Creates a contract that destroys itself in the same transaction, then one that stays.
FACTORY = assemble("""
    0x33ff 0 MSTORE 2 30 0 CREATE POP
    0 0 0 CREATE POP
    CALLVALUE CALLER 1 ADD SSTORE STOP
""")


History = tuple[Client, dict[str, bytes], list[str]]


def data(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def header_of(block: dict[str, Any]) -> PragueBlockHeader:
    return PragueBlockHeader(
        difficulty=0,
        block_number=int(block["number"], 16),
        gas_limit=int(block["gasLimit"], 16),
        timestamp=int(block["timestamp"], 16),
        coinbase=data(block["miner"]),
        parent_hash=data(block["parentHash"]),
        state_root=data(block["stateRoot"]),
        transaction_root=data(block["transactionsRoot"]),
        receipt_root=data(block["receiptsRoot"]),
        bloom=int(block["logsBloom"], 16),
        gas_used=int(block["gasUsed"], 16),
        mix_hash=data(block["mixHash"]),
        nonce=data(block["nonce"]),
        base_fee_per_gas=int(block["baseFeePerGas"], 16),
    )


class ImportingChain:
    """The oracle. It knows nothing of the embedded chain but its genesis balances and its raw blocks."""

    def __init__(self, genesis: dict[str, Any], funded: list[str]) -> None:
        kind = Chain.configure("oracle", vm_configuration=((0, PragueVM),), chain_id=CHAIN_ID)
        state = {data(address): {"balance": 10**24, "nonce": 0, "code": b"", "storage": {}} for address in funded}
        header = header_of(genesis)
        database = AtomicDB()
        before = PragueVM.build_state(database, header.copy(state_root=BLANK_ROOT_HASH), ChainContext(CHAIN_ID))
        apply_state_dict(before, state)
        before.persist()
        assert before.state_root == header.state_root
        self.chain = kind.from_genesis_header(database, header)
        assert self.chain.get_canonical_head().hash == data(genesis["hash"])

    def add(self, block: dict[str, Any], raws: list[bytes]) -> None:
        vm = self.chain.get_vm_class(header_of(block))
        builder = vm.get_transaction_builder()
        made = vm.get_block_class()(
            header=header_of(block),
            transactions=[builder.decode(raw) for raw in raws],
            uncles=[],
            withdrawals=[],
        )
        self.chain.import_block(made)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """A chain with creations, logs, reverts, refunds, self-destruction, delegation and burnt gas."""
    funded = [account(number).address for number in range(4)]
    node = Node(tmp_path_factory.mktemp("history"), funded=funded)
    rpc = node.start()
    try:
        yield rpc, fill(rpc), funded
    finally:
        rpc.http.close()
        node.stop()


def fill(rpc: Client) -> dict[str, bytes]:
    """Send the history; answers the raw transactions by hash."""
    owner, second, third, fourth = (account(number) for number in range(4))
    raws: dict[str, bytes] = {}

    def send(sender: Any, **fields: Any) -> str:
        fields.setdefault("nonce", rpc.nonce(sender))
        raw = sign(sender, **fields)
        digest: str = rpc("eth_sendRawTransaction", raw)
        raws[digest] = data(raw)
        return digest

    def deploy(code: bytes) -> str:
        receipt = rpc("eth_getTransactionReceipt", send(owner, to=None, data=creation(code), gas=2_000_000))
        address: str = receipt["contractAddress"]
        return address

    counter, reverter, setter, burner, factory = map(deploy, (COUNTER, REVERTER, SETTER, BURNER, FACTORY))
    send(second, to=counter, data=words(1, 2, 3, 1))
    send(second, to=reverter, data=words(1))
    send(second, to=setter, data=words(5))
    send(second, to=setter, data=words(0))
    send(second, to=burner, gas=16_777_216)
    send(second, to=factory, value=7, gas=1_000_000)
    send(third, type=None, gasPrice=3 * GWEI, maxFeePerGas=None, maxPriorityFeePerGas=None)
    send(third, type=1, gasPrice=3 * GWEI, maxFeePerGas=None, maxPriorityFeePerGas=None, to=counter,
         accessList=[{"address": counter, "storageKeys": ["0x" + words(1).hex()]}], data=words(1))  # fmt: skip
    grant = fourth.sign_authorization({"chainId": CHAIN_ID, "address": counter, "nonce": 0})
    send(third, type=4, to=fourth.address, data=words(9), gas=500_000, authorizationList=[grant])
    send(third, to="0x" + "00" * 19 + "01", data=b"\1" * 128)
    for nonce in (3, 2, 1):
        send(owner, nonce=rpc.nonce(owner) + nonce, to=counter, data=words(nonce))
    send(owner, to=counter, data=words(70))
    return raws


def test_an_independent_chain_accepts_every_block(
    history: History,
) -> None:
    rpc, raws, funded = history
    head = int(rpc("eth_blockNumber"), 16)
    blocks = [rpc("eth_getBlockByNumber", hex(number), False) for number in range(head + 1)]
    oracle = ImportingChain(blocks[0], funded)
    for block in blocks[1:]:
        oracle.add(block, [raws[digest] for digest in block["transactions"]])
        assert oracle.chain.get_canonical_head().hash == data(block["hash"])
    assert head >= 15


@pytest.mark.parametrize("field", ["stateRoot", "receiptsRoot", "gasUsed", "logsBloom", "baseFeePerGas"])
def test_the_oracle_refuses_a_block_with_one_wrong_field(history: History, field: str) -> None:
    rpc, raws, funded = history
    genesis, block = (rpc("eth_getBlockByNumber", hex(number), False) for number in (0, 1))
    width = len(block[field]) - 2
    wrong = {**block, field: f"0x{int(block[field], 16) ^ 1:0{width}x}"}
    with pytest.raises(ValidationError):
        ImportingChain(genesis, funded).add(wrong, [raws[digest] for digest in block["transactions"]])


def test_raw_transactions_are_kept_as_they_came(
    history: History,
) -> None:
    rpc, raws, _ = history
    for digest, raw in raws.items():
        block = rpc("eth_getBlockByHash", rpc("eth_getTransactionByHash", digest)["blockHash"], False)
        assert digest in block["transactions"]
        assert rlp.decode(raw if raw[0] > 0x7F else raw[1:])
