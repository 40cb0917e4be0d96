"""The data directory of an installation: what stands where. Imports next to nothing."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mereau.core.errors import ConfigurationError

_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths inside one data directory."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def chain(self) -> Path:
        return self.root / "chain"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def keystore(self) -> Path:
        return self.root / "keystore.json"

    @property
    def keystore_password(self) -> Path:
        return self.root / "keystore.password"

    @property
    def funded(self) -> Path:
        """Addresses that the embedded chain's genesis gives gas money to, a JSON list."""
        return self.root / "funded.json"

    @property
    def programme(self) -> Path:
        """What the operator wants the programme to be, read at the first start; need not be there."""
        return self.root / "programme.json"

    @property
    def operator_key(self) -> Path:
        return self.root / "operator.key"

    @property
    def voucher_secret(self) -> Path:
        return self.root / "voucher.secret"

    @property
    def run_file(self) -> Path:
        return self.root / "run.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def demo_mark(self) -> Path:
        """Present in directories that `mereau demo` made and may therefore remove."""
        return self.root / ".mereau-demo"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all at once: no reader sees half of it."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_voucher_secret(layout: Layout) -> bytes:
    """The secret that vouchers are derived from. ConfigurationError where it is missing: it is never redrawn."""
    try:
        return bytes.fromhex(layout.voucher_secret.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The voucher secret {layout.voucher_secret} cannot be read. Restore it from its backup, or copy it "
            "from the machine where `mereau up` made this installation."
        ) from error
