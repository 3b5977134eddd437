"""The key of a home: addresses and customer ids are hashed with it before they are kept.

Here belong making the key, once, and hashing with it. A hash without a key hides nothing: anybody
can hash all addresses and customer ids and compare.
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
KEY_TEXT = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")


@dataclass(frozen=True)
class Key:
    """The secret of a home, and its file; for each purpose another key is derived from it."""

    file: Path
    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell keys apart and do not reveal the key."""
        return self._derived("fingerprint").hex()[:16]

    @property
    def customers(self) -> str:
        """The text that SQL puts before a customer's id to hash both: 64 hexadecimal digits.

        SHA-256 over key and id is enough, and every engine has it. All keys have one length, so two
        ids never make the same text. HMAC would also stop others from making the hash of a longer
        text; we need not stop them, because we accept no such hash as a proof.
        """
        return self._derived("customers").hex()

    def hash_address(self, address: str | None) -> str | None:
        """A hash that tells a mended address from the one that failed; None without an address."""
        if address is None:
            return None
        return hmac.digest(self._derived("addresses"), address.encode(), "sha256").hex()

    def is_of_address(self, hashed: str | None, address: str | None) -> bool:
        """Whether the ledger's hash is that of the address.

        Events from before the first key hold a plain SHA-256, and the ledger keeps them: both
        hashes count.
        """
        if hashed is None or address is None:
            return hashed is None and address is None
        return hashed in (self.hash_address(address), sha256(address.encode()).hexdigest())

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self.secret, purpose.encode(), "sha256")


def home_key(home: Path) -> Key:
    """The key of a home, made if it has none; processes that begin together get the same key.

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
    if not KEY_TEXT.fullmatch(text):
        raise SettingsError(
            f"{file} does not hold a key ({2 * KEY_BYTES} hexadecimal digits); restore it from the "
            "backup"
        )
    return Key(file, bytes.fromhex(text))


def _make(file: Path) -> None:
    """Write a whole key to a temporary file, then link `file` to it unless `file` exists by now."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # Only its owner may read a temporary file, and so the key.
    with NamedTemporaryFile(dir=file.parent, prefix=".key.") as made:
        made.write(secrets.token_hex(KEY_BYTES).encode())
        made.flush()
        os.fsync(made.fileno())
        with suppress(FileExistsError):
            os.link(made.name, file)
