"""The store by itself: whole blocks or none, one holder, and what it says when it lacks something."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mereau.chain.embedded import store as store_module
from mereau.chain.embedded.errors import StoreLockedError
from mereau.chain.embedded.store import BlockRow, ChainStore


def row(number: int) -> BlockRow:
    return BlockRow(number, bytes((number,)) * 32, b"header", b"body", b"receipts")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ChainStore]:
    opened = ChainStore(tmp_path / "made" / "on the way")
    yield opened
    opened.close()


def test_an_empty_store_has_no_head(store: ChainStore) -> None:
    assert store.head() is None
    assert store.block(0) is None
    assert store.meta("chain_id") is None
    assert store.queued() == []
    assert list(store.blocks(0, 9)) == []


def test_what_was_appended_is_found_by_every_key(store: ChainStore) -> None:
    store.append(row(0), {}, [], {"chain_id": "1"})
    store.append(row(1), {b"n" * 32: b"node"}, [b"a" * 32, b"b" * 32])
    assert store.head() == store.block(1) == store.block_by_digest(b"\1" * 32) == row(1)
    assert list(store.blocks(0, 5)) == [row(0), row(1)]
    assert store.location(b"b" * 32) == (1, 1)
    assert store.location(b"c" * 32) is None
    assert store.node(b"n" * 32) == b"node"
    assert store.meta("chain_id") == "1"


def test_an_append_that_fails_leaves_nothing(store: ChainStore) -> None:
    store.append(row(0), {}, [b"a" * 32])
    with pytest.raises(sqlite3.IntegrityError):
        store.append(row(1), {b"n" * 32: b"node"}, [b"b" * 32, b"a" * 32])
    assert store.head() == row(0)
    assert store.location(b"b" * 32) is None
    with pytest.raises(KeyError):
        store.node(b"n" * 32)
    store.append(row(1), {b"n" * 32: b"node"}, [b"b" * 32])
    assert store.head() == row(1)


def test_a_block_takes_its_transactions_out_of_the_queue(store: ChainStore) -> None:
    store.requeue({b"a" * 32: b"A", b"b" * 32: b"B", b"c" * 32: b"C"}, [])
    store.requeue({}, [b"b" * 32])
    store.append(row(0), {}, [b"a" * 32])
    assert store.queued() == [b"C"]


def test_a_store_has_one_holder(store: ChainStore) -> None:
    with pytest.raises(StoreLockedError, match="is in use"):
        ChainStore(store.path.parent)


def test_a_closed_store_can_be_opened_again(store: ChainStore, tmp_path: Path) -> None:
    first = ChainStore(tmp_path / "other")
    first.append(row(0), {b"n" * 32: b"node"}, [])
    first.close()
    second = ChainStore(tmp_path / "other")
    assert second.head() == row(0)
    assert second.node(b"n" * 32) == b"node"
    second.close()


def test_every_commit_is_synchronous(store: ChainStore) -> None:
    assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_other_threads_read_what_is_committed(store: ChainStore) -> None:
    store.append(row(0), {}, [])
    found: list[BlockRow | None] = []

    def read() -> None:
        found.append(store.head())

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [row(0)] * 4


def test_the_cache_forgets_the_oldest_and_still_answers(store: ChainStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store._cache, "_nodes_max", 10)
    nodes = {bytes((index,)) * 32: bytes((index,)) for index in range(100)}
    store.append(row(0), nodes, [])
    assert len(store._cache._young) + len(store._cache._old) <= 20
    assert all(store.node(digest) == value for digest, value in nodes.items())
    assert store.node(b"\0" * 32) == b"\0"
    assert len(store._cache._young) + len(store._cache._old) <= 20
    assert store_module._CACHE_NODES >= 1_000
