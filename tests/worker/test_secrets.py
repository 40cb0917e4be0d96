"""The keystore and its password: drawn once, never a default, never overwritten."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.hdaccount import HDPath
from pydantic import SecretStr

from mereau.core.config import Settings
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout, read_voucher_secret
from mereau.wallets.domain import ROLES
from mereau.wallets.keystore import open_keystore
from mereau.worker.secrets import draw_keys, password_of, role_addresses, unlock


def generated(folder: Path) -> Settings:
    """What the supervisor tells its children where the operator gave no password."""
    return Settings(data_dir=folder, keystore_password=None, keystore_password_file=folder / "keystore.password")


def typed(folder: Path, password: str = "correct horse") -> Settings:
    return Settings(data_dir=folder, keystore_password=SecretStr(password), keystore_password_file=None)


def test_a_first_start_draws_everything(tmp_path: Path) -> None:
    draw_keys(generated(tmp_path))
    layout = Layout(tmp_path)
    for path in (layout.keystore, layout.keystore_password):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(layout.keystore_password.read_text()) >= 43
    seed = open_keystore(layout.keystore, layout.keystore_password.read_text())
    assert seed == unlock(generated(tmp_path))


def test_the_funded_addresses_are_those_of_the_roles(tmp_path: Path) -> None:
    """Checked by another implementation of BIP-32."""
    draw_keys(generated(tmp_path))
    seed = unlock(generated(tmp_path)).value
    expected = [
        Account.from_key(HDPath(f"m/44'/60'/2'/0/{index}").derive(seed)).address.lower() for index in range(len(ROLES))
    ]
    assert json.loads(Layout(tmp_path).funded.read_text()) == expected
    assert ["0x" + address.hex() for address in role_addresses(unlock(generated(tmp_path)))] == expected


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    draw_keys(generated(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    draw_keys(generated(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_keystore_without_its_password_is_not_given_another(tmp_path: Path) -> None:
    draw_keys(typed(tmp_path))
    Layout(tmp_path).funded.unlink()
    with pytest.raises(ConfigurationError, match="Restore the file"):
        draw_keys(generated(tmp_path))
    assert not Layout(tmp_path).keystore_password.exists()


def test_the_voucher_secret_is_drawn_once(tmp_path: Path) -> None:
    draw_keys(generated(tmp_path))
    layout = Layout(tmp_path)
    secret = read_voucher_secret(layout)
    assert len(secret) == 32
    assert stat.S_IMODE(layout.voucher_secret.stat().st_mode) == 0o600
    draw_keys(generated(tmp_path))
    assert read_voucher_secret(layout) == secret


@pytest.mark.parametrize("content", [None, "not hex"])
def test_a_lost_voucher_secret_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        Layout(tmp_path).voucher_secret.write_text(content)
    with pytest.raises(ConfigurationError, match=r"voucher\.secret cannot be read"):
        read_voucher_secret(Layout(tmp_path))


def test_a_start_that_was_killed_half_way_is_finished(tmp_path: Path) -> None:
    draw_keys(generated(tmp_path))
    Layout(tmp_path).funded.unlink()
    keystore = Layout(tmp_path).keystore.read_bytes()
    draw_keys(generated(tmp_path))
    assert Layout(tmp_path).funded.exists()
    assert Layout(tmp_path).keystore.read_bytes() == keystore


def test_an_operators_password_is_used_and_not_written(tmp_path: Path) -> None:
    draw_keys(typed(tmp_path))
    assert not Layout(tmp_path).keystore_password.exists()
    assert unlock(typed(tmp_path)) == open_keystore(Layout(tmp_path).keystore, "correct horse")
    assert json.loads(Layout(tmp_path).keystore.read_text())["crypto"]["kdfparams"]["n"] == 2**18


def test_a_password_file_of_the_operators_is_not_drawn(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, keystore_password=None, keystore_password_file=tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        draw_keys(settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("lost", "words"), [("keystore.json", "no keystore"), ("keystore.password", "cannot be read")])
def test_what_was_lost_is_not_drawn_anew(tmp_path: Path, lost: str, words: str) -> None:
    """A new seed would orphan every member's wallet."""
    draw_keys(generated(tmp_path))
    (tmp_path / lost).unlink()
    with pytest.raises(ConfigurationError, match=words):
        draw_keys(generated(tmp_path))
    assert not (tmp_path / lost).exists()


@pytest.mark.parametrize(
    "given",
    [
        {"keystore_password": None, "keystore_password_file": None},
        {"keystore_password": SecretStr(""), "keystore_password_file": None},
    ],
)
def test_no_password_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="MEREAU_KEYSTORE_PASSWORD"):
        password_of(Settings(data_dir=tmp_path, **given))


def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    draw_keys(typed(tmp_path))
    with pytest.raises(ConfigurationError, match="does not open"):
        unlock(typed(tmp_path, "wrong horse"))


def test_a_newline_at_the_end_of_a_password_file_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    settings = Settings(data_dir=tmp_path, keystore_password=None, keystore_password_file=tmp_path / "password")
    assert password_of(settings) == "correct horse"
