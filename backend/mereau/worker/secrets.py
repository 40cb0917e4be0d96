"""The keystore and its password: drawn at the first `up`, asked for everywhere else."""

import json
import secrets
from typing import Final

from mereau.core.config import Settings
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout, write_private
from mereau.wallets import derivation
from mereau.wallets.domain import ROLES, Branch
from mereau.wallets.keystore import TYPED_WORK_FACTOR, Seed, create_keystore, open_keystore

_PASSWORD_BYTES: Final = 32
_VOUCHER_SECRET_BYTES: Final = 32


def draw_keys(settings: Settings) -> None:
    """Make what a first start lacks: password, voucher secret, keystore, the addresses that need gas money.

    The list of addresses comes last and ends the first start: from then on what is missing was lost, and
    ConfigurationError says so instead of drawing it anew.
    """
    layout = Layout(settings.data_dir)
    if layout.funded.exists():
        unlock(settings)
        return
    _draw_password(settings, layout)
    password = password_of(settings)
    if not layout.voucher_secret.exists():
        write_private(layout.voucher_secret, secrets.token_hex(_VOUCHER_SECRET_BYTES))
    if not layout.keystore.exists():
        typed = settings.keystore_password is not None
        work = {"work_factor": TYPED_WORK_FACTOR} if typed else {}
        create_keystore(layout.keystore, password, **work)
    addresses = role_addresses(unlock(settings))
    write_private(layout.funded, json.dumps(["0x" + address.hex() for address in addresses]))


def _draw_password(settings: Settings, layout: Layout) -> None:
    """Only where the supervisor asked for a generated one, and never for a keystore that is there already."""
    if settings.keystore_password_file != layout.keystore_password or layout.keystore_password.exists():
        return
    if layout.keystore.exists():
        raise ConfigurationError(
            f"The keystore {layout.keystore} is there, its password {layout.keystore_password} is not. "
            "Restore the file, or set MEREAU_KEYSTORE_PASSWORD."
        )
    write_private(layout.keystore_password, secrets.token_urlsafe(_PASSWORD_BYTES))


def unlock(settings: Settings) -> Seed:
    """The programme's seed. ConfigurationError says what to restore or to set."""
    return open_keystore(Layout(settings.data_dir).keystore, password_of(settings))


def password_of(settings: Settings) -> str:
    """The keystore's password; never a default."""
    if settings.keystore_password is not None:
        password = settings.keystore_password.get_secret_value()
    elif settings.keystore_password_file is not None:
        try:
            password = settings.keystore_password_file.read_text().strip()
        except OSError as error:
            raise ConfigurationError(
                f"The password file {settings.keystore_password_file} cannot be read: {error.strerror}."
            ) from error
    else:
        password = ""
    if not password:
        raise ConfigurationError(
            "The keystore's password is missing. Set MEREAU_KEYSTORE_PASSWORD or MEREAU_KEYSTORE_PASSWORD_FILE."
        )
    return password


def role_addresses(seed: Seed) -> list[bytes]:
    """The addresses of the roles, in their order: children 0, 1, 2 ... of the roles' branch."""
    parent = derivation.public_half(derivation.branch_node(seed.value, Branch.ROLE.value))
    return [derivation.address_of(derivation.public_child(parent, index).public_key) for index in range(len(ROLES))]
