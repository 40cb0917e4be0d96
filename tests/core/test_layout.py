"""Files that hold secrets."""

import stat
from pathlib import Path

import pytest

from mereau.core.layout import Layout, write_private


def test_only_the_owner_reads_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, "words")
    assert path.read_text() == "words"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_private_file_replaces_an_open_one(tmp_path: Path) -> None:
    """Its old permissions do not survive: the file is new, not rewritten."""
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_killed_writer_left_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "secret.part").write_text("half")
    write_private(tmp_path / "secret", "whole")
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_a_private_file_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_private(tmp_path / "missing" / "secret", "words")


def test_everything_stands_inside_the_directory(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    places = [
        layout.postgres, layout.chain, layout.logs, layout.keystore, layout.keystore_password, layout.funded,
        layout.operator_key, layout.voucher_secret, layout.run_file, layout.lock_file, layout.demo_mark,
        layout.log("api"),
    ]  # fmt: skip
    assert all(tmp_path in place.parents for place in places)
    assert len(set(places)) == len(places)
