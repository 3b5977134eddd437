"""A second, plain path for a folder, for programs that read some characters of a path as syntax.

The plain path lies in the system's folder for temporary files, in a folder that only its user may
enter: another user who could replace it would get what is meant for the real folder.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from vibes_pipeline.errors import SettingsError

# Characters without a special meaning in a shell, a URL, a pattern and a settings file.
PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


def without_wildcards(folder: Path) -> Path:
    """The folder itself, or a link to it if its path could be read as a pattern."""
    if not glob.has_magic(str(folder)):
        return folder
    link = private_folder(folder, os.geteuid()) / "link"
    with suppress(FileExistsError):
        link.symlink_to(folder)
    return link


def private_folder(place: Path, owner: int) -> Path:
    """A folder of a short, plain path that only `owner` may enter; always the same for a place.

    Raises `SettingsError` when another user owns it or may enter it.
    """
    temporary = Path(tempfile.gettempdir())
    base = temporary if PLAIN.fullmatch(str(temporary)) else Path("/tmp")
    folder = base / f"vibes-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, owner, -1)
    found = folder.lstat()
    if found.st_uid != owner or found.st_mode & 0o077:
        raise SettingsError(f"{folder}, which stands for {place}, is not ours alone; remove it")
    return folder
