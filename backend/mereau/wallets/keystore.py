"""The programme's seed in an encrypted file (Ethereum keystore v3), and nowhere else."""

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mereau.core.errors import ConfigurationError

GENERATED_WORK_FACTOR: Final = 2**14
"""scrypt's n for a generated password of 256 bits, which nobody can guess anyway."""

TYPED_WORK_FACTOR: Final = 2**18
"""scrypt's n for a password that a person chose."""

_SEED_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Seed:
    """32 random bytes from which every managed key of the programme descends; `repr` hides them."""

    value: bytes = field(repr=False)


def create_keystore(path: Path, password: str, *, work_factor: int = GENERATED_WORK_FACTOR) -> Seed:
    """Draw a seed and write it, encrypted, to a new file that only the owner may read.

    ConfigurationError where the file is there already: a seed is never overwritten. The file is complete and
    on the disk, or absent, whenever the process may die.
    """
    # Late: it loads BLS pairings that cost half a second, and the API needs `Seed` alone.
    from eth_keyfile.keyfile import create_keyfile_json

    if path.exists():
        raise ConfigurationError(f"There is a keystore at {path} already; move it away first.")
    seed = Seed(secrets.token_bytes(_SEED_BYTES))
    content = create_keyfile_json(seed.value, password.encode(), kdf="scrypt", iterations=work_factor)
    # The address of the "key" says nothing here, and who reads it might send money to it.
    content.pop("address", None)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        _place(draft, path)
    finally:
        draft.unlink()
    return seed


def _place(draft: Path, path: Path) -> None:
    """Give the finished file its name; unlike a rename, a link never replaces what is there."""
    try:
        path.hardlink_to(draft)
    except FileExistsError as error:
        raise ConfigurationError(f"There is a keystore at {path} already; move it away first.") from error
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def open_keystore(path: Path, password: str) -> Seed:
    """The seed in the file. ConfigurationError says what to do where it is missing, broken or another's."""
    from eth_keyfile.keyfile import decode_keyfile_json

    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no keystore at {path}. Restore it from its backup, or let `mereau up` draw one."
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The keystore {path} cannot be read. Restore it from its backup.") from error
    try:
        value = decode_keyfile_json(content, password.encode())
    except ValueError as error:
        raise ConfigurationError(
            f"The password does not open the keystore {path}. Set MEREAU_KEYSTORE_PASSWORD or "
            "MEREAU_KEYSTORE_PASSWORD_FILE to the one that it was made with."
        ) from error
    except (KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise ConfigurationError(f"The file {path} is not a keystore. Restore it from its backup.") from error
    return Seed(bytes(value))
