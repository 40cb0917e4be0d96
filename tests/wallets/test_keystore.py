"""The seed's file: only its password opens it, nothing overwrites it, nothing shows what is in it."""

import json
import stat
from pathlib import Path

import pytest
from eth_keyfile.keyfile import decode_keyfile_json

from mereau.core.errors import ConfigurationError
from mereau.wallets.keystore import Seed, create_keystore, open_keystore

PASSWORD = "correct horse battery staple"
CHEAP = 2**10


def test_the_password_opens_what_it_closed(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "programme.json"
    seed = create_keystore(path, PASSWORD, work_factor=CHEAP)
    assert open_keystore(path, PASSWORD) == seed
    assert len(seed.value) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["programme.json"]


def test_the_file_is_a_standard_keystore_without_address(tmp_path: Path) -> None:
    path = tmp_path / "programme.json"
    seed = create_keystore(path, PASSWORD)
    content = json.loads(path.read_text())
    assert (content["version"], content["crypto"]["kdf"]) == (3, "scrypt")
    assert content["crypto"]["kdfparams"]["n"] == 2**14
    assert "address" not in content
    assert decode_keyfile_json(content, PASSWORD.encode()) == seed.value


def test_two_keystores_have_two_seeds(tmp_path: Path) -> None:
    seeds = {create_keystore(tmp_path / name, PASSWORD, work_factor=CHEAP).value for name in ("a", "b")}
    assert len(seeds) == 2


def test_another_password_is_told_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "programme.json"
    create_keystore(path, PASSWORD, work_factor=CHEAP)
    with pytest.raises(ConfigurationError, match="MEREAU_KEYSTORE_PASSWORD") as refusal:
        open_keystore(path, PASSWORD + " ")
    assert PASSWORD not in refusal.value.detail


def test_a_seed_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "programme.json"
    seed = create_keystore(path, PASSWORD, work_factor=CHEAP)
    with pytest.raises(ConfigurationError, match="already"):
        create_keystore(path, "other", work_factor=CHEAP)
    assert open_keystore(path, PASSWORD) == seed


def test_of_two_that_create_at_once_the_second_yields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw no file; the name is given only once."""
    path = tmp_path / "programme.json"
    seed = create_keystore(path, PASSWORD, work_factor=CHEAP)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(ConfigurationError, match="already"):
        create_keystore(path, "other", work_factor=CHEAP)
    assert open_keystore(path, PASSWORD) == seed
    assert [item.name for item in tmp_path.iterdir()] == ["programme.json"]


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no keystore at"):
        open_keystore(tmp_path / "programme.json", PASSWORD)


@pytest.mark.parametrize("content", ["", "{", "\x00", "[1]", "{}", '{"version": 3}', '{"version": 3, "crypto": 1}'])
def test_a_broken_file_is_not_taken_for_a_wrong_password(tmp_path: Path, content: str) -> None:
    path = tmp_path / "programme.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="Restore it"):
        open_keystore(path, PASSWORD)


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        open_keystore(tmp_path, PASSWORD)


def test_a_seed_is_not_shown() -> None:
    seed = Seed(bytes(range(32)))
    assert repr(seed) == str(seed) == "Seed()"
