"""Writing a file: under a temporary name beside it, which is renamed once the file is whole.

Here belongs what all our files have in common: no reader sees half a file, and a full disk is an
error of one line. A folder of files is put into place in the same way, as one. What a file holds is
decided by the module that writes it. A folder can be held against other processes, without a file
beside or in it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vibes_pipeline.errors import VibesError

# The system's words for: no space, a user's quota or a process's file size used up, a read-only
# disk.
REFUSALS = [os.strerror(n) for n in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)]

BLOCK = 4096


def keep_to_owner() -> None:
    """Let only the user read the files that this process, and any it starts, makes from now on.

    Every entry point calls it: nearly all our files hold sellers' ids, names or mails.
    """
    os.umask(0o077)


@contextmanager
def put_into_place(file: Path) -> Iterator[Path]:
    """A temporary path to write to; when the block ends without error, it is renamed to `file`.

    Either may be a folder. Raises `VibesError` when the disk takes no more; an older `file` then
    stays as it was.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _replace(file, temporary)
    except Exception as error:
        full = disk_refusal(error) or _refusal_of_more(error, temporary)
        if full is None:
            raise
        raise VibesError(
            f"{file} could not be written: {full}; make room there and try again"
        ) from error
    finally:
        _remove(temporary)


def replace_folder(new: Path, place: Path, old: Path) -> None:
    """Rename `new` to `place`, and what is there to `old` before: a folder takes nobody's place.

    One of the two may be a file. Between the two renames there is neither. If the second one
    fails, what was there is there again.
    """
    if not place.exists():
        new.rename(place)
        return
    place.rename(old)
    try:
        new.rename(place)
    except BaseException:
        old.rename(place)
        raise


def _replace(file: Path, temporary: Path) -> None:
    if temporary.is_dir() or file.is_dir():
        old = temporary.with_suffix(".old")
        replace_folder(temporary, file, old)
        _remove(old)
    else:
        temporary.replace(file)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink(missing_ok=True)


@contextmanager
def held(folder: Path, *, is_waited_for: bool = True) -> Iterator[int]:
    """Hold a folder while the block runs; gives the descriptor that holds it.

    The hold ends with the process, and with those that inherit the descriptor. Who does not wait
    gets `BlockingIOError` when another process holds the folder.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if is_waited_for else fcntl.LOCK_NB))
        yield descriptor
    finally:
        os.close(descriptor)


def disk_refusal(error: BaseException) -> str | None:
    """The system's words if an error says that a disk takes no more; None for another error."""
    if isinstance(error, VibesError):
        return None
    # DuckDB and Polars put the system's words somewhere into their own message.
    return next((words for words in REFUSALS if words in str(error)), None)


def _refusal_of_more(error: BaseException, file: Path) -> str | None:
    """Why the disk takes no more, found by writing to it: an error does not always say why."""
    if isinstance(error, VibesError):
        return None
    try:
        with file.open("ab") as tried:
            tried.write(bytes(BLOCK))
    except OSError as refused:
        return disk_refusal(refused)
    return None
