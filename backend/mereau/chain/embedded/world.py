"""The accounts and slots that one block, or one call, reads and changes, over the state trie.

It stands in for py-evm's account database, whose layers of journals, caches and access logs cost more than
the execution itself. Every change is noted in one undo list, so a snapshot is a length and a revert walks
back. A world is used once: built on a state root, executed on, then sealed into nodes or dropped.
"""

from typing import Any, NamedTuple, cast

from eth_hash.auto import keccak

from mereau.chain.embedded.codec import decode_int, decode_list, encode, encode_int
from mereau.chain.embedded.trie import BLANK_ROOT, NodeReader, Trie

EMPTY_CODE = keccak(b"")

_ABSENT = object()
_PREFIX = 0x80  # RLP: from here on a byte announces others


class Account(NamedTuple):
    nonce: int = 0
    balance: int = 0
    storage_root: bytes = BLANK_ROOT
    code_hash: bytes = EMPTY_CODE

    def encode(self) -> bytes:
        return encode([encode_int(self.nonce), encode_int(self.balance), self.storage_root, self.code_hash])

    @classmethod
    def decode(cls, encoded: bytes) -> "Account":
        nonce, balance, storage_root, code_hash = cast("list[bytes]", decode_list(encoded))
        return cls(decode_int(nonce), decode_int(balance), storage_root, code_hash)


_NOBODY = Account()


class _Slots:
    """One account's storage: as the block found it, and as it stands now where it was written."""

    __slots__ = ("found", "root", "written")

    def __init__(self, root: bytes) -> None:
        self.root = root
        self.found: dict[int, int] = {}
        self.written: dict[int, int] = {}


def slot_key(slot: int) -> bytes:
    return keccak(slot.to_bytes(32, "big"))


class World:
    """Mutable state over `state_root`. The method names and arguments are those that py-evm calls."""

    def __init__(self, nodes: NodeReader, state_root: bytes) -> None:
        self.state_root = state_root
        self._nodes = nodes
        self._trie = Trie(nodes)
        self._found: dict[bytes, Account | None] = {}
        self._accounts: dict[bytes, Account | None] = {}
        self._slots: dict[bytes, _Slots] = {}
        self._codes: dict[bytes, bytes] = {}
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        # What a transaction forgets at its end: first values (EIP-2200), warm keys (EIP-2929) and
        # transient slots (EIP-1153).
        self._original: dict[tuple[bytes, int], int] = {}
        self._warm: dict[Any, bool] = {}
        self._transient: dict[tuple[bytes, int], bytes] = {}

    def begin_transaction(self) -> None:
        """Nothing before this point can be reverted any more."""
        self._undo = []
        self._original = {}
        self._warm = {}
        self._transient = {}

    def snapshot(self) -> int:
        return len(self._undo)

    def revert(self, snapshot: int) -> None:
        undo = self._undo
        while len(undo) > snapshot:
            target, key, old = undo.pop()
            if old is _ABSENT:
                del target[key]
            else:
                target[key] = old

    def seal(self) -> tuple[bytes, dict[bytes, bytes]]:
        """The new state root, and the nodes and codes that it needs beyond those stored."""
        codes: dict[bytes, bytes] = {}
        for address, slots in self._slots.items():
            self._seal_storage(address, slots)
        changes: dict[bytes, bytes] = {}
        for address, account in self._accounts.items():
            if account == self._found.get(address):
                continue
            changes[keccak(address)] = b"" if account is None else account.encode()
            if account is not None and account.code_hash in self._codes:
                codes[account.code_hash] = self._codes[account.code_hash]
        if changes:
            self.state_root = self._trie.update(self.state_root, changes)
        return self.state_root, {**self._trie.fresh, **codes}

    def _seal_storage(self, address: bytes, slots: _Slots) -> None:
        changes = {
            slot_key(slot): encode(encode_int(value)) if value else b""
            for slot, value in slots.written.items()
            if value != slots.found[slot]
        }
        root = self._trie.update(slots.root, changes) if changes else slots.root
        account = self._account(address) or _NOBODY
        if root != account.storage_root:
            self._accounts[address] = account._replace(storage_root=root)

    def _note(self, target: dict[Any, Any], key: object, value: object) -> None:
        self._undo.append((target, key, target.get(key, _ABSENT)))
        target[key] = value

    def _account(self, address: bytes) -> Account | None:
        try:
            return self._accounts[address]
        except KeyError:
            encoded = self._trie.get(self.state_root, keccak(address))
            account = Account.decode(encoded) if encoded else None
            self._found[address] = self._accounts[address] = account
            return account

    def _change(self, address: bytes, **fields: Any) -> None:
        self._note(self._accounts, address, (self._account(address) or _NOBODY)._replace(**fields))

    def _storage(self, address: bytes) -> _Slots:
        slots = self._slots.get(address)
        if slots is None:
            slots = self._slots[address] = _Slots((self._account(address) or _NOBODY).storage_root)
        return slots

    def get_storage(self, address: bytes, slot: int, from_journal: bool = True) -> int:
        if not from_journal:
            original = self._original.get((address, slot))
            if original is not None:
                return original
        slots = self._storage(address)
        value = slots.written.get(slot)
        if value is None:
            value = slots.found.get(slot)
        if value is None:
            encoded = self._trie.get(slots.root, slot_key(slot))
            value = slots.found[slot] = int.from_bytes(_string(encoded), "big") if encoded else 0
        return value

    def set_storage(self, address: bytes, slot: int, value: int) -> None:
        current = self.get_storage(address, slot)
        self._original.setdefault((address, slot), current)
        if current != value:
            self._note(self._storage(address).written, slot, value)

    def delete_storage(self, address: bytes) -> None:
        self._storage(address)
        self._note(self._slots, address, _Slots(BLANK_ROOT))
        if self._account(address) is not None:
            self._change(address, storage_root=BLANK_ROOT)

    def is_storage_warm(self, address: bytes, slot: int) -> bool:
        return (address, slot) in self._warm

    def mark_storage_warm(self, address: bytes, slot: int) -> None:
        if (address, slot) not in self._warm:
            self._note(self._warm, (address, slot), True)

    def is_address_warm(self, address: bytes) -> bool:
        return address in self._warm

    def mark_address_warm(self, address: bytes) -> None:
        if address not in self._warm:
            self._note(self._warm, address, True)

    def get_transient_storage(self, address: bytes, slot: int) -> bytes:
        return self._transient.get((address, slot), b"")

    def set_transient_storage(self, address: bytes, slot: int, value: bytes) -> None:
        self._note(self._transient, (address, slot), value)

    def get_balance(self, address: bytes) -> int:
        return (self._account(address) or _NOBODY).balance

    def set_balance(self, address: bytes, balance: int) -> None:
        self._change(address, balance=balance)

    def get_nonce(self, address: bytes) -> int:
        return (self._account(address) or _NOBODY).nonce

    def set_nonce(self, address: bytes, nonce: int) -> None:
        self._change(address, nonce=nonce)

    def increment_nonce(self, address: bytes) -> None:
        self._change(address, nonce=self.get_nonce(address) + 1)

    def get_code_hash(self, address: bytes) -> bytes:
        return (self._account(address) or _NOBODY).code_hash

    def get_code(self, address: bytes) -> bytes:
        digest = self.get_code_hash(address)
        if digest == EMPTY_CODE:
            return b""
        code = self._codes.get(digest)
        return code if code is not None else self._nodes.node(digest)

    def set_code(self, address: bytes, code: bytes) -> None:
        digest = keccak(code)
        self._codes[digest] = code
        self._change(address, code_hash=digest)

    def delete_code(self, address: bytes) -> None:
        self._change(address, code_hash=EMPTY_CODE)

    def delete_account(self, address: bytes) -> None:
        self.delete_storage(address)
        self._note(self._accounts, address, None)

    def touch_account(self, address: bytes) -> None:
        if self._account(address) is None:
            self._note(self._accounts, address, _NOBODY)

    def account_exists(self, address: bytes) -> bool:
        return self._account(address) is not None

    def account_has_code_or_nonce(self, address: bytes) -> bool:
        account = self._account(address) or _NOBODY
        return account.nonce != 0 or account.code_hash != EMPTY_CODE

    def account_is_empty(self, address: bytes) -> bool:
        account = self._account(address) or _NOBODY
        return account.nonce == 0 and account.balance == 0 and account.code_hash == EMPTY_CODE

    def storage_root(self, address: bytes) -> bytes:
        return (self._account(address) or _NOBODY).storage_root


def _string(encoded: bytes) -> bytes:
    # A stored word is at most 33 bytes: either itself or one prefix byte before it.
    return encoded if len(encoded) == 1 and encoded[0] < _PREFIX else encoded[1:]
