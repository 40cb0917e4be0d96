"""The chain on disk: one SQLite file, one transaction per block.

A block, its trie nodes, its index and what it removes from the queue commit together with
`synchronous=FULL`: after SIGKILL or a power cut the file holds whole blocks only, and every block whose
transaction was answered. Trie nodes are never deleted, so the state of every block stays readable.
"""

import fcntl
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from mereau.chain.embedded.errors import StoreLockedError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node (digest BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS block (
  number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE,
  header BLOB NOT NULL, body BLOB NOT NULL, receipts BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS location (
  digest BLOB PRIMARY KEY, number INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queued (digest BLOB PRIMARY KEY, raw BLOB NOT NULL) WITHOUT ROWID;
"""
_BLOCK = "SELECT number, digest, header, body, receipts FROM block "
_CACHE_NODES = 8_000
_FILE = "chain.sqlite"
_LOCK = "chain.lock"


class BlockRow(NamedTuple):
    """One block as stored: header, body and receipts are RLP (see blocks.py)."""

    number: int
    digest: bytes
    header: bytes
    body: bytes
    receipts: bytes


class _NodeCache:
    """The nodes read lately, in two generations: as good as an LRU here, and safe between threads."""

    def __init__(self, nodes_max: int) -> None:
        self._nodes_max = nodes_max
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def get(self, digest: bytes) -> bytes | None:
        value = self._young.get(digest)
        if value is None:
            value = self._old.get(digest)
            if value is not None:
                self.put(digest, value)
        return value

    def put(self, digest: bytes, value: bytes) -> None:
        if len(self._young) >= self._nodes_max:
            self._old, self._young = self._young, {}
        self._young[digest] = value


class ChainStore:
    """The store in a data directory, held by one process at a time.

    Raises StoreLockedError if another process holds it. Writes belong to one thread; reads may come from
    any thread, each on a connection of its own, and see whole blocks only.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / _FILE
        self._lock = _lock(directory / _LOCK)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._cache = _NodeCache(_CACHE_NODES)
        self._writer = self._connect()
        self._writer.executescript(_SCHEMA)

    def close(self) -> None:
        """Checkpoint and release the directory; call it when no thread works on the store any more."""
        for connection in self._connections:
            connection.close()
        self._lock.close()

    def meta(self, key: str) -> str | None:
        row = self._reader.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def node(self, digest: bytes) -> bytes:
        """The trie node or code with this hash; KeyError if the store does not hold it."""
        value = self._cache.get(digest)
        if value is None:
            row = self._reader.execute("SELECT value FROM node WHERE digest = ?", (digest,)).fetchone()
            if row is None:
                raise KeyError(digest)
            value = bytes(row[0])
            self._cache.put(digest, value)
        return value

    def head(self) -> BlockRow | None:
        return self._block("ORDER BY number DESC LIMIT 1", ())

    def block(self, number: int) -> BlockRow | None:
        return self._block("WHERE number = ?", (number,))

    def block_by_digest(self, digest: bytes) -> BlockRow | None:
        return self._block("WHERE digest = ?", (digest,))

    def blocks(self, first: int, last: int) -> Iterator[BlockRow]:
        rows = self._reader.execute(
            "SELECT number, digest, header, body, receipts FROM block WHERE number BETWEEN ? AND ? ORDER BY number",
            (first, last),
        )
        return (BlockRow(*row) for row in rows)

    def location(self, digest: bytes) -> tuple[int, int] | None:
        """The block number and the position of a mined transaction."""
        row = self._reader.execute("SELECT number, position FROM location WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def queued(self) -> list[bytes]:
        return [bytes(row[0]) for row in self._reader.execute("SELECT raw FROM queued")]

    def append(
        self,
        block: BlockRow,
        nodes: Mapping[bytes, bytes],
        transactions: Iterable[bytes],
        meta: Mapping[str, str] | None = None,
    ) -> None:
        """Make `block`, whose transactions have these hashes in order, the head: durably or not at all."""
        digests = list(transactions)
        with self._transaction() as cursor:
            cursor.executemany("INSERT OR IGNORE INTO node VALUES (?, ?)", nodes.items())
            cursor.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?)", block)
            located = [(digest, block.number, position) for position, digest in enumerate(digests)]
            cursor.executemany("INSERT INTO location VALUES (?, ?, ?)", located)
            cursor.executemany("DELETE FROM queued WHERE digest = ?", [(digest,) for digest in digests])
            cursor.executemany("INSERT INTO meta VALUES (?, ?)", (meta or {}).items())
        for digest, value in nodes.items():
            self._cache.put(digest, value)

    def requeue(self, added: Mapping[bytes, bytes], removed: Iterable[bytes]) -> None:
        """Change the durable queue of transactions that wait for an earlier nonce."""
        with self._transaction() as cursor:
            cursor.executemany("DELETE FROM queued WHERE digest = ?", [(digest,) for digest in removed])
            cursor.executemany("INSERT OR IGNORE INTO queued VALUES (?, ?)", added.items())

    def _block(self, clause: str, values: tuple[int | bytes, ...]) -> BlockRow | None:
        row = self._reader.execute(_BLOCK + clause, values).fetchone()
        return None if row is None else BlockRow(*row)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        cursor = self._writer.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise

    @property
    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        self._connections.append(connection)
        return connection


def _lock(path: Path) -> IO[str]:
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.close()
        raise StoreLockedError(f"{path.parent} is in use by another chain process") from error
    return handle
