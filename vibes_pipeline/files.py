"""Writing a file: to a temporary name beside it, which is renamed once it is whole.

Here belongs what every file of ours has in common: nobody ever sees half of one, and a full disk is
told in one line. What is in the file is the business of those who write it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vibes_pipeline.errors import VibesError

# No space, a user's or a process's share used up, a disk that was set to read-only.
REFUSALS = [os.strerror(n) for n in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)]

BLOCK = 4096


def keep_to_owner() -> None:
    """From now on what this process, and what it starts, makes is for its user's eyes alone.

    Every entry point calls it: nearly all that we write holds sellers' ids, names or mails.
    """
    os.umask(0o077)


@contextmanager
def put_into_place(file: Path) -> Iterator[Path]:
    """A temporary name to write to; what stands there when the block ends well becomes the file.

    Raises `VibesError` when the disk takes no more; what stood there before stays.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(file)
    except Exception as error:
        full = disk_refusal(error) or _refusal_of_more(error, temporary)
        if full is None:
            raise
        raise VibesError(
            f"{file} could not be written: {full}; make room there and try again"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def disk_refusal(error: BaseException) -> str | None:
    """The system's words when a disk took no more, whoever wrote to it; None for another error."""
    if isinstance(error, VibesError):
        return None
    # DuckDB and Polars put them somewhere into their own.
    return next((words for words in REFUSALS if words in str(error)), None)


def _refusal_of_more(error: BaseException, file: Path) -> str | None:
    """Why the disk takes no more, asked of itself: writers do not always tell what hit them."""
    if isinstance(error, VibesError):
        return None
    try:
        with file.open("ab") as tried:
            tried.write(bytes(BLOCK))
    except OSError as refused:
        return disk_refusal(refused)
    return None
