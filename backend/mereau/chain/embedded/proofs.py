"""Account and storage proofs (EIP-1186) from the state trie of a block."""

from collections.abc import Sequence
from typing import Any

from eth_hash.auto import keccak

from mereau.chain.embedded.blocks import Header
from mereau.chain.embedded.encoding import hexed
from mereau.chain.embedded.store import ChainStore
from mereau.chain.embedded.trie import Trie
from mereau.chain.embedded.world import World, slot_key


def proof_json(store: ChainStore, header: Header, address: bytes, slots: Sequence[int]) -> dict[str, Any]:
    """The account at `address` and its `slots`, each with the trie nodes from the block's state root."""
    trie, world = Trie(store), World(store, header.state_root)
    storage_root = world.storage_root(address)
    return {
        "address": hexed(address),
        "accountProof": [hexed(node) for node in trie.proof(header.state_root, keccak(address))],
        "balance": hex(world.get_balance(address)),
        "nonce": hex(world.get_nonce(address)),
        "codeHash": hexed(world.get_code_hash(address)),
        "storageHash": hexed(storage_root),
        "storageProof": [
            {
                "key": f"0x{slot:064x}",
                "value": hex(world.get_storage(address, slot)),
                "proof": [hexed(node) for node in trie.proof(storage_root, slot_key(slot))],
            }
            for slot in slots
        ],
    }
