"""A keystore that was damaged, altered or locked away is refused with words that help, and gives no seed."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import transaction
from mereau.core.errors import ConfigurationError
from mereau.wallets import service as wallets
from mereau.wallets.keystore import Seed, create_keystore, open_keystore

PASSWORD = "correct horse battery staple"
CHEAP = 2**10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keystore.json"


@pytest.fixture
def seed(path: Path) -> Seed:
    return create_keystore(path, PASSWORD, work_factor=CHEAP)


def alter(path: Path, *steps: str, to: Any) -> None:
    """Set one value deep in the file."""
    content = json.loads(path.read_text())
    place = content
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = to
    path.write_text(json.dumps(content))


def value(path: Path, *steps: str) -> Any:
    place = json.loads(path.read_text())
    for step in steps:
        place = place[step]
    return place


def flipped(text: str) -> str:
    """The hexadecimal text with its first digit changed."""
    return f"{int(text[0], 16) ^ 1:x}{text[1:]}"


@pytest.mark.parametrize("field", [("ciphertext",), ("mac",), ("kdfparams", "salt")])
def test_one_bit_changed_opens_nothing(path: Path, seed: Seed, field: tuple[str, ...]) -> None:
    alter(path, "crypto", *field, to=flipped(value(path, "crypto", *field)))
    with pytest.raises(ConfigurationError, match="does not open the keystore"):
        open_keystore(path, PASSWORD)


@pytest.mark.parametrize(("name", "other"), [("n", 2**11), ("r", 2), ("p", 2)])
def test_other_parameters_of_the_derivation_open_nothing(path: Path, seed: Seed, name: str, other: int) -> None:
    """The file says how dear the password is; whoever makes it cheaper gets another key."""
    alter(path, "crypto", "kdfparams", name, to=other)
    with pytest.raises(ConfigurationError, match="does not open the keystore"):
        open_keystore(path, PASSWORD)


@pytest.mark.parametrize(
    ("steps", "to"),
    [
        (("crypto", "kdf"), "md5"),
        (("crypto", "kdfparams"), {}),
        (("crypto", "kdfparams"), None),
        (("crypto", "kdfparams", "n"), "many"),
        (("crypto", "cipherparams"), {}),
        (("crypto", "ciphertext"), 7),
        (("crypto", "mac"), "zz"),
        (("version",), 1),
        (("version",), None),
    ],
)
def test_what_no_keystore_says_is_refused_and_named(path: Path, seed: Seed, steps: tuple[str, ...], to: Any) -> None:
    alter(path, *steps, to=to)
    with pytest.raises(ConfigurationError) as refusal:
        open_keystore(path, PASSWORD)
    assert str(path) in refusal.value.detail
    assert PASSWORD not in refusal.value.detail


@pytest.mark.parametrize("kept", [0.0, 0.25, 0.5, 0.99])
def test_a_file_cut_short_is_told_from_a_wrong_password(path: Path, seed: Seed, kept: float) -> None:
    whole = path.read_text()
    path.write_text(whole[: int(len(whole) * kept)])
    with pytest.raises(ConfigurationError, match="Restore it from its backup"):
        open_keystore(path, PASSWORD)


@pytest.mark.parametrize("password", ["", PASSWORD.upper(), PASSWORD + "\n", PASSWORD[:-1]])
def test_nearly_the_password_is_not_the_password(path: Path, seed: Seed, password: str) -> None:
    with pytest.raises(ConfigurationError, match="MEREAU_KEYSTORE_PASSWORD_FILE"):
        open_keystore(path, password)


def test_a_password_may_be_any_text(path: Path) -> None:
    seed = create_keystore(path, "p\u00e4ssw\u00f6rt \u2603", work_factor=CHEAP)
    assert open_keystore(path, "p\u00e4ssw\u00f6rt \u2603") == seed


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_owner_may_read_whatever_the_mask(path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        create_keystore(path, PASSWORD, work_factor=CHEAP)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_writer_that_breaks_off_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a keystore nor half of one, so that the next start draws a seed."""

    def fail(*given: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(json, "dump", fail)
    with pytest.raises(OSError, match="no space"):
        create_keystore(path, PASSWORD, work_factor=CHEAP)
    monkeypatch.undo()
    assert list(path.parent.iterdir()) == []
    assert create_keystore(path, PASSWORD, work_factor=CHEAP) == open_keystore(path, PASSWORD)


def test_the_file_shows_neither_seed_nor_password(path: Path, seed: Seed) -> None:
    text = path.read_text()
    assert seed.value.hex() not in text
    assert PASSWORD not in text
    assert set(json.loads(text)) == {"crypto", "id", "version"}


def test_two_files_of_one_password_share_nothing(tmp_path: Path) -> None:
    for name in ("a", "b"):
        create_keystore(tmp_path / name, PASSWORD, work_factor=CHEAP)
    for steps in (("kdfparams", "salt"), ("cipherparams", "iv"), ("ciphertext",), ("mac",)):
        assert value(tmp_path / "a", "crypto", *steps) != value(tmp_path / "b", "crypto", *steps)


async def test_an_altered_start_vector_gives_a_seed_that_the_database_refuses(
    path: Path, seed: Seed, engine: AsyncEngine
) -> None:
    """The format's checksum does not cover it, so the branches are the second guard."""
    async with transaction(engine) as session:
        await wallets.init_branches(session, seed)
    alter(path, "crypto", "cipherparams", "iv", to=flipped(value(path, "crypto", "cipherparams", "iv")))
    other = open_keystore(path, PASSWORD)
    assert other != seed
    async with transaction(engine) as session:
        with pytest.raises(ConfigurationError, match="does not belong to this database"):
            await wallets.init_branches(session, other)
