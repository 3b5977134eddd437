"""The key of a home, with which whoever is a person is hashed before anything of them is kept.

Here belong making it, once, and what is hashed with it. Without a key a hash hides nothing: there
are few enough addresses and customer ids to hash them all and compare.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from vibes_pipeline.errors import SettingsError

KEY_BYTES = 32
WRITTEN = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")


@dataclass(frozen=True)
class Key:
    """The secret of a home, and the file that keeps it; each purpose has a key of its own."""

    file: Path
    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Tells keys apart and gives none away: 16 hexadecimal digits."""
        return self._derived("fingerprint").hex()[:16]

    @property
    def customers(self) -> str:
        """What SQL writes before a customer's id to hash both: 64 hexadecimal digits.

        SHA-256 over key and id, which every engine has, is enough here. The key has one length, so
        no two ids make the same text. What HMAC adds keeps others from making hashes of longer
        texts, and nobody takes such a hash for a proof.
        """
        return self._derived("customers").hex()

    def hash_address(self, address: str | None) -> str | None:
        """Tells a mended address from the one that failed, without keeping it."""
        if address is None:
            return None
        return hmac.digest(self._derived("addresses"), address.encode(), "sha256").hex()

    def is_of_address(self, hashed: str | None, address: str | None) -> bool:
        """Whether the ledger's hash is that of the address.

        The ledger forgets nothing: what was recorded before there was a key has none.
        """
        if hashed is None or address is None:
            return hashed is None and address is None
        return hashed in (self.hash_address(address), sha256(address.encode()).hexdigest())

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self.secret, purpose.encode(), "sha256")


def home_key(home: Path) -> Key:
    """The key of a home, made if it has none; the same one for all who begin at the same moment.

    Raises `SettingsError` that names the file when it cannot be made or read, or holds no key.
    """
    file = home / "key"
    try:
        if not file.exists():
            _make(file)
        text = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise SettingsError(
            f"the key {file} cannot be made or read: {error.strerror}; let the user that vibes "
            "runs as read it, and write in its folder"
        ) from error
    if not WRITTEN.fullmatch(text):
        raise SettingsError(
            f"{file} does not hold a key ({2 * KEY_BYTES} hexadecimal digits); restore it from the "
            "backup"
        )
    return Key(file, bytes.fromhex(text))


def _make(file: Path) -> None:
    """Write a whole key beside the file, then give it the name, which only the first one gets."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # A temporary file is its owner's alone, and so is the key.
    with NamedTemporaryFile(dir=file.parent, prefix=".key.") as made:
        made.write(secrets.token_hex(KEY_BYTES).encode())
        made.flush()
        os.fsync(made.fileno())
        with suppress(FileExistsError):
            os.link(made.name, file)
